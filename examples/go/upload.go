package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"lukechampine.com/blake3"

	replicationv1 "stoa.dev/examples/go/gen/stoa/replication/v1"
)

const pieceBytes = 1 << 20

var zeros = make([]byte, pieceBytes)

// upload sends a file as a blob in two streams, as if the first one had broken off, and answers
// the name of the blob and the SHA-256 of the file.
func upload(ctx context.Context, conn grpc.ClientConnInterface, group, region, path string) (string, [32]byte, error) {
	blobs := replicationv1.NewBlobServiceClient(conn)
	file, err := os.Open(path)
	if err != nil {
		return "", [32]byte{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", [32]byte{}, err
	}
	blob, err := blobs.CreateBlob(ctx, &replicationv1.CreateBlobRequest{
		Parent:    group,
		BlobId:    "go-" + uuid.NewString(),
		Blob:      &replicationv1.Blob{Location: region},
		RequestId: uuid.NewString(),
	})
	if err != nil {
		return "", [32]byte{}, err
	}
	half := info.Size() / 2 / pieceBytes * pieceBytes
	if _, err := stream(ctx, blobs, file, blob.Name, 0, half, false); err != nil {
		return "", [32]byte{}, err
	}
	// What is durable is asked of the server: it may be less than what was sent.
	blob, err = blobs.GetBlob(ctx, &replicationv1.GetBlobRequest{Name: blob.Name})
	if err != nil {
		return "", [32]byte{}, err
	}
	fmt.Printf("upload goes on at %d of %d B\n", blob.CommittedBytes, info.Size())
	answer, err := stream(ctx, blobs, file, blob.Name, blob.CommittedBytes, info.Size(), true)
	if err != nil {
		return "", [32]byte{}, err
	}
	if answer.Blob.State != replicationv1.Blob_STATE_COMMITTED {
		return "", [32]byte{}, fmt.Errorf("the blob is %v", answer.Blob.State)
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, io.NewSectionReader(file, 0, info.Size())); err != nil {
		return "", [32]byte{}, err
	}
	return blob.Name, [32]byte(digest.Sum(nil)), nil
}

// stream sends what lies between two offsets, each piece with its digest, zeros as their length.
func stream(ctx context.Context, blobs replicationv1.BlobServiceClient, file io.ReaderAt, name string, begin, end int64, commit bool) (*replicationv1.UploadBlobResponse, error) {
	calls, err := blobs.UploadBlob(ctx)
	if err != nil {
		return nil, err
	}
	send := func(request *replicationv1.UploadBlobRequest) error {
		// io.EOF says that the server has ended the call; CloseAndRecv tells why.
		if err := calls.Send(request); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}
	start := &replicationv1.UploadStart{Name: name, OffsetBytes: begin}
	if err := send(&replicationv1.UploadBlobRequest{Message: &replicationv1.UploadBlobRequest_Start{Start: start}}); err != nil {
		return nil, err
	}
	for offset := begin; offset < end; offset += pieceBytes {
		piece := make([]byte, min(pieceBytes, end-offset))
		if _, err := file.ReadAt(piece, offset); err != nil {
			return nil, err
		}
		chunk := &replicationv1.UploadChunk{OffsetBytes: offset}
		if bytes.Equal(piece, zeros[:len(piece)]) {
			chunk.Content = &replicationv1.UploadChunk_ZeroBytes{ZeroBytes: int64(len(piece))}
		} else {
			digest := blake3.Sum256(piece)
			chunk.Content = &replicationv1.UploadChunk_Data{Data: piece}
			chunk.Blake3Digest = digest[:]
		}
		if err := send(&replicationv1.UploadBlobRequest{Message: &replicationv1.UploadBlobRequest_Chunk{Chunk: chunk}}); err != nil {
			return nil, err
		}
	}
	if commit {
		last := &replicationv1.UploadCommit{SizeBytes: end}
		if err := send(&replicationv1.UploadBlobRequest{Message: &replicationv1.UploadBlobRequest_Commit{Commit: last}}); err != nil {
			return nil, err
		}
	}
	return calls.CloseAndRecv()
}
