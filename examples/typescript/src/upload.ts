import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { blake3 } from "@noble/hashes/blake3.js";
import { Blob_State } from "../gen/stoa/replication/v1/blob_pb.js";
import { BlobService } from "../gen/stoa/replication/v1/blob_service_pb.js";
import { UploadBlobRequestSchema } from "../gen/stoa/replication/v1/blob_upload_pb.js";

export const PIECE_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(PIECE_BYTES);

type Message = NonNullable<MessageInitShape<typeof UploadBlobRequestSchema>["message"]>;

export interface Uploaded {
  blob: string;
  sha256: string;
}

/** Sends a file as a blob in two streams, as if the first one had broken off. */
export async function upload(
  transport: Transport,
  group: string,
  region: string,
  path: string,
): Promise<Uploaded> {
  const blobs = createClient(BlobService, transport);
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { name } = await blobs.createBlob({
      parent: group,
      blobId: `ts-${randomUUID()}`,
      blob: { location: region },
      requestId: randomUUID(),
    });
    const half = Math.floor(size / 2 / PIECE_BYTES) * PIECE_BYTES;
    await send(blobs, file, name, 0, half, false);
    // What is durable is asked of the server: it may be less than what was sent.
    const { committedBytes } = await blobs.getBlob({ name });
    console.log(`upload goes on at ${committedBytes} of ${size} B`);
    const blob = await send(blobs, file, name, Number(committedBytes), size, true);
    if (blob?.state !== Blob_State.COMMITTED) {
      throw new Error(`the blob is in state ${blob?.state}`);
    }
    return { blob: name, sha256: await sha256(file, size) };
  } finally {
    await file.close();
  }
}

async function send(
  blobs: Client<typeof BlobService>,
  file: FileHandle,
  name: string,
  begin: number,
  end: number,
  commit: boolean,
) {
  async function* messages() {
    for await (const message of pieces(file, name, begin, end, commit)) {
      yield create(UploadBlobRequestSchema, { message });
    }
  }
  return (await blobs.uploadBlob(messages())).blob;
}

/** What lies between two offsets, each piece with its digest, zeros as their length. */
async function* pieces(
  file: FileHandle,
  name: string,
  begin: number,
  end: number,
  commit: boolean,
): AsyncGenerator<Message> {
  yield { case: "start", value: { name, offsetBytes: BigInt(begin) } };
  for (let offset = begin; offset < end; offset += PIECE_BYTES) {
    const data = await piece(file, offset, end);
    const offsetBytes = BigInt(offset);
    yield data.equals(ZEROS.subarray(0, data.length))
      ? { case: "chunk", value: { offsetBytes, content: { case: "zeroBytes", value: BigInt(data.length) } } }
      : {
          case: "chunk",
          value: { offsetBytes, content: { case: "data", value: data }, blake3Digest: blake3(data) },
        };
  }
  if (commit) {
    yield { case: "commit", value: { sizeBytes: BigInt(end) } };
  }
}

async function piece(file: FileHandle, offset: number, end: number): Promise<Buffer<ArrayBuffer>> {
  const data = Buffer.alloc(Math.min(PIECE_BYTES, end - offset));
  const { bytesRead } = await file.read(data, 0, data.length, offset);
  if (bytesRead !== data.length) {
    throw new Error(`the file ends at ${offset + bytesRead}`);
  }
  return data;
}

async function sha256(file: FileHandle, size: number): Promise<string> {
  const digest = createHash("sha256");
  for (let offset = 0; offset < size; offset += PIECE_BYTES) {
    digest.update(await piece(file, offset, size));
  }
  return digest.digest("hex");
}
