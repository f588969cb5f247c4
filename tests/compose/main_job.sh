#!/bin/sh
# The main job by the `stoa` command, inside a container of the installation: an image of two disks
# goes into two regions, and what is pulled from the second is what was uploaded to the first.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# 32 MiB of which most is a hole, and 8 MiB without one.
dd if=/dev/urandom of=os.raw bs=1M count=6 2>/dev/null
truncate --size 32M os.raw
dd if=/dev/urandom of=data.raw bs=1M count=8 2>/dev/null

stoa region create --name east --slots 2
stoa region create --name west --slots 1
stoa group create --name images --location east
stoa gallery create -g images -r golden --location east
stoa image-definition create -g images -r golden -i linux --location east \
    --publisher Contoso --offer Base --sku Server --os-type Linux
stoa blob upload -g images --name os --file os.raw --location east
stoa blob upload -g images --name data --file data.raw --location east
stoa managed-image create -g images --name base --location east \
    --os-blob os --data-blobs data
stoa image-version create -g images -r golden -i linux -e 1.0.0 --location east \
    --managed-image base --target-regions east=2 west
stoa image-version pull -g images -r golden -i linux -e latest --location west --directory pulled

cmp os.raw pulled/os.img
cmp data.raw pulled/lun0.img
echo "main job: the pulled disks are the uploaded ones"
