// Publishes a disk to some regions, watches how it spreads, and reads it back in the last of them.
//
// Plain gRPC with the classes that buf generates from the protos. The upload and the watch are
// broken off on purpose and go on where they were. Needs a running installation with the regions
// and an image definition:
//
//	buf generate && go run . -definition subscriptions/default/resourceGroups/images/galleries/golden/images/linux \
//	    -version 1.0.2 -regions eastus,westus disk.raw
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func main() {
	log.SetFlags(0)
	definition := flag.String("definition", "", "name of the image definition")
	version := flag.String("version", "", "number of the new version")
	regions := flag.String("regions", "", "target regions, the home region first")
	flag.Parse()
	if *definition == "" || *version == "" || *regions == "" || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*definition, *version, strings.Split(*regions, ","), flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func run(definition, version string, regions []string, path string) error {
	token, err := token()
	if err != nil {
		return err
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	catalog, err := dial("STOA_CATALOG_ENDPOINT", "127.0.0.1:7401")
	if err != nil {
		return err
	}
	defer catalog.Close()
	replication, err := dial("STOA_REPLICATION_ENDPOINT", "127.0.0.1:7402")
	if err != nil {
		return err
	}
	defer replication.Close()

	// subscriptions/{s}/resourceGroups/{rg}, to which everything of the definition belongs.
	group := strings.Join(strings.Split(definition, "/")[:4], "/")
	blob, digest, err := upload(ctx, replication, group, regions[0], path)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	operation, err := create(ctx, catalog, definition, version, regions, blob)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	name := definition + "/versions/" + version
	if err := watch(ctx, replication, name); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if err := wait(ctx, catalog, operation); err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	read, err := readDisk(ctx, replication, name, regions[len(regions)-1])
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if read != digest {
		return fmt.Errorf("read %x where %x was uploaded", read, digest)
	}
	fmt.Printf("published %s, sha256 %x\n", name, read)
	return nil
}

func dial(variable, otherwise string) (*grpc.ClientConn, error) {
	target := os.Getenv(variable)
	if target == "" {
		target = otherwise
	}
	return grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func token() (string, error) {
	if given := os.Getenv("STOA_TOKEN"); given != "" {
		return given, nil
	}
	printed, err := exec.Command("stoa", "token").Output()
	return strings.TrimSpace(string(printed)), err
}
