import { createHash, type Hash } from "node:crypto";
import { createClient, type Transport } from "@connectrpc/connect";
import { ImageDiskService } from "../gen/stoa/replication/v1/image_disk_service_pb.js";
import { PIECE_BYTES } from "./upload.js";

/**
 * Reads the OS disk of a version in a region in two calls, the second one from where the first
 * ended, and answers its SHA-256.
 */
export async function readDisk(transport: Transport, name: string, region: string): Promise<string> {
  const digest = createHash("sha256");
  const first = BigInt(PIECE_BYTES);
  const size = await readRange(transport, name, region, 0n, first, digest);
  if (size > first) {
    await readRange(transport, name, region, first, size - first, digest);
  }
  return digest.digest("hex");
}

/** Takes in a range, and answers the size of the whole disk. */
async function readRange(
  transport: Transport,
  name: string,
  location: string,
  offsetBytes: bigint,
  lengthBytes: bigint,
  digest: Hash,
): Promise<bigint> {
  let size = 0n;
  let offset = offsetBytes;
  const messages = createClient(ImageDiskService, transport).readDisk({
    name,
    location,
    disk: { disk: { case: "os", value: true } },
    ranges: [{ offsetBytes, lengthBytes }],
  });
  for await (const { message } of messages) {
    if (message.case === "start") {
      size = message.value.layout?.sizeBytes ?? 0n;
    } else if (message.case === "piece") {
      const { content } = message.value;
      if (message.value.offsetBytes !== offset) {
        throw new Error(`a piece begins at ${message.value.offsetBytes} instead of ${offset}`);
      }
      if (content.case === "data") {
        digest.update(content.value);
        offset += BigInt(content.value.length);
      } else if (content.case === "zeroBytes") {
        for (let left = content.value; left > 0n; left -= BigInt(PIECE_BYTES)) {
          digest.update(Buffer.alloc(left < PIECE_BYTES ? Number(left) : PIECE_BYTES));
        }
        offset += content.value;
      }
    }
  }
  return size;
}
