import { randomUUID } from "node:crypto";
import { createClient, type Transport } from "@connectrpc/connect";
import { type Operation, Operations } from "../gen/google/longrunning/operations_pb.js";
import { ImageVersionService } from "../gen/stoa/catalog/v1/image_version_service_pb.js";
import { Replication_State } from "../gen/stoa/replication/v1/replication_pb.js";
import { ReplicationService } from "../gen/stoa/replication/v1/replication_service_pb.js";
import { RegionalReplicationState } from "../gen/stoa/type/v1/replication_state_pb.js";

/**
 * Begins a version with one replica in each region. The request id makes the call safe to repeat:
 * the same operation comes back.
 */
export async function createVersion(
  transport: Transport,
  definition: string,
  version: string,
  regions: string[],
  blob: string,
): Promise<Operation> {
  return await createClient(ImageVersionService, transport).createImageVersion({
    parent: definition,
    imageVersionId: version,
    imageVersion: {
      location: regions[0],
      storageProfile: { osDiskImage: { source: { source: { case: "blob", value: blob } } } },
      targetRegions: regions.map((location) => ({ location, regionalReplicaCount: 1 })),
    },
    requestId: randomUUID(),
  });
}

interface Place {
  name: string;
  afterSequence?: bigint;
  minimumGeneration?: bigint;
}

/**
 * Follows the first replication of a version to its end. It breaks off after the first event and
 * resumes: nothing is missed and nothing told twice.
 */
export async function watch(transport: Transport, name: string): Promise<void> {
  const place = await follow(transport, { name, minimumGeneration: 1n }, 1);
  console.log(`watch goes on after ${place.afterSequence}`);
  await follow(transport, place, Infinity);
}

/** Tells at most so many events, and answers where to go on. */
async function follow(transport: Transport, from: Place, most: number): Promise<Place> {
  const ended = new AbortController();
  let place = from;
  let told = 0;
  const events = createClient(ReplicationService, transport).watchReplication(from, {
    signal: ended.signal,
  });
  for await (const { replication, sequence, event } of events) {
    if (replication) {
      place = { name: replication, afterSequence: sequence };
    }
    if (event.case === "transition" && event.value.state.case === "regionState") {
      const state = RegionalReplicationState[event.value.state.value];
      console.log(`${String(sequence).padStart(4)}  ${event.value.location.padEnd(12)} ${state}`);
    } else if (event.case === "end") {
      const state = Replication_State[event.value.state];
      console.log(`${String(sequence).padStart(4)}  ended: ${state}`);
      if (event.value.state !== Replication_State.COMPLETED) {
        throw new Error(`the replication ended as ${state}`);
      }
    }
    told += 1;
    if (told >= most) {
      break;
    }
  }
  ended.abort();
  return place;
}

/** Answers once the operation is done. */
export async function waitFor(transport: Transport, operation: Operation): Promise<void> {
  const operations = createClient(Operations, transport);
  let current = operation;
  while (!current.done) {
    current = await operations.waitOperation({ name: current.name, timeout: { seconds: 20n } });
  }
  if (current.result.case === "error") {
    throw new Error(current.result.value.message);
  }
}
