package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	catalogv1 "stoa.dev/examples/go/gen/stoa/catalog/v1"
	replicationv1 "stoa.dev/examples/go/gen/stoa/replication/v1"
)

// create begins a version with one replica in each region. The request id makes the call safe to
// repeat: the same operation comes back.
func create(ctx context.Context, conn grpc.ClientConnInterface, definition, version string, regions []string, blob string) (*longrunningpb.Operation, error) {
	one := int32(1)
	var targets []*catalogv1.TargetRegion
	for _, region := range regions {
		targets = append(targets, &catalogv1.TargetRegion{Location: region, RegionalReplicaCount: &one})
	}
	return catalogv1.NewImageVersionServiceClient(conn).CreateImageVersion(ctx, &catalogv1.CreateImageVersionRequest{
		Parent:         definition,
		ImageVersionId: version,
		ImageVersion: &catalogv1.ImageVersion{
			Location: regions[0],
			StorageProfile: &catalogv1.StorageProfile{OsDiskImage: &catalogv1.OsDiskImage{
				Source: &catalogv1.DiskSource{Source: &catalogv1.DiskSource_Blob{Blob: blob}},
			}},
			TargetRegions: targets,
		},
		RequestId: uuid.NewString(),
	})
}

// watch follows the first replication of a version to its end. It breaks off after the first
// event and resumes: nothing is missed and nothing told twice.
func watch(ctx context.Context, conn grpc.ClientConnInterface, name string) error {
	client := replicationv1.NewReplicationServiceClient(conn)
	replication, last, err := follow(ctx, client, &replicationv1.WatchReplicationRequest{Name: name, MinimumGeneration: 1}, 1)
	if err != nil {
		return err
	}
	fmt.Printf("watch goes on after %d\n", last)
	_, _, err = follow(ctx, client, &replicationv1.WatchReplicationRequest{Name: replication, AfterSequence: &last}, 0)
	return err
}

// follow tells so many events, all of them where `most` is 0, and answers where to go on.
func follow(ctx context.Context, client replicationv1.ReplicationServiceClient, request *replicationv1.WatchReplicationRequest, most int) (string, int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := client.WatchReplication(ctx, request)
	if err != nil {
		return "", 0, err
	}
	replication, last := request.Name, request.GetAfterSequence()
	for told := 0; most == 0 || told < most; told++ {
		event, err := events.Recv()
		if errors.Is(err, io.EOF) {
			return replication, last, nil
		} else if err != nil {
			return "", 0, err
		}
		if event.GetReplication() != "" {
			replication, last = event.Replication, event.Sequence
		}
		switch {
		case event.GetTransition().GetRegionState() != 0:
			state := strings.TrimPrefix(event.GetTransition().GetRegionState().String(), "REGIONAL_REPLICATION_STATE_")
			fmt.Printf("%4d  %-12s %s\n", event.Sequence, event.GetTransition().Location, state)
		case event.GetEnd() != nil:
			state := strings.TrimPrefix(event.GetEnd().State.String(), "STATE_")
			fmt.Printf("%4d  ended: %s\n", event.Sequence, state)
			if event.GetEnd().State != replicationv1.Replication_STATE_COMPLETED {
				return "", 0, fmt.Errorf("the replication ended as %s", state)
			}
		}
	}
	return replication, last, nil
}

// wait answers once the operation is done.
func wait(ctx context.Context, conn grpc.ClientConnInterface, operation *longrunningpb.Operation) error {
	operations := longrunningpb.NewOperationsClient(conn)
	var err error
	for !operation.Done {
		operation, err = operations.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{
			Name:    operation.Name,
			Timeout: durationpb.New(20 * time.Second),
		})
		if err != nil {
			return err
		}
	}
	if failure := operation.GetError(); failure != nil {
		return errors.New(failure.Message)
	}
	return nil
}
