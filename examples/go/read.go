package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	replicationv1 "stoa.dev/examples/go/gen/stoa/replication/v1"
	typev1 "stoa.dev/examples/go/gen/stoa/type/v1"
)

// readDisk reads the OS disk of a version in a region in two calls, the second one from the
// middle on, and answers its SHA-256.
func readDisk(ctx context.Context, conn grpc.ClientConnInterface, name, region string) ([32]byte, error) {
	disks := replicationv1.NewImageDiskServiceClient(conn)
	digest := sha256.New()
	size, err := readRange(ctx, disks, name, region, 0, pieceBytes, digest)
	if err != nil {
		return [32]byte{}, err
	}
	if size > pieceBytes {
		if _, err := readRange(ctx, disks, name, region, pieceBytes, size-pieceBytes, digest); err != nil {
			return [32]byte{}, err
		}
	}
	return [32]byte(digest.Sum(nil)), nil
}

// readRange copies a range, or what there is of it, and answers the size of the whole disk.
func readRange(ctx context.Context, disks replicationv1.ImageDiskServiceClient, name, region string, offset, length int64, to io.Writer) (int64, error) {
	pieces, err := disks.ReadDisk(ctx, &replicationv1.ReadDiskRequest{
		Name:     name,
		Location: region,
		Disk:     &typev1.DiskSelector{Disk: &typev1.DiskSelector_Os{Os: true}},
		Ranges:   []*replicationv1.ByteRange{{OffsetBytes: offset, LengthBytes: length}},
	})
	if err != nil {
		return 0, err
	}
	var size int64
	for {
		message, err := pieces.Recv()
		if errors.Is(err, io.EOF) {
			return size, nil
		} else if err != nil {
			return 0, err
		}
		if start := message.GetStart(); start != nil {
			size = start.Layout.SizeBytes
			continue
		}
		piece := message.GetPiece()
		if piece.OffsetBytes != offset {
			return 0, fmt.Errorf("a piece begins at %d instead of %d", piece.OffsetBytes, offset)
		}
		var content io.Reader = bytes.NewReader(piece.GetData())
		if zero := piece.GetZeroBytes(); zero > 0 {
			content = io.LimitReader(zeroReader{}, zero)
		}
		copied, err := io.Copy(to, content)
		if err != nil {
			return 0, err
		}
		offset += copied
	}
}

type zeroReader struct{}

func (zeroReader) Read(to []byte) (int, error) {
	clear(to)
	return len(to), nil
}
