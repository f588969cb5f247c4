/**
 * Publishes a disk to some regions, watches how it spreads, and reads it back in the last of them.
 *
 * Plain gRPC with the classes that buf generates from the protos. The upload and the watch are
 * broken off on purpose and go on where they were. Needs a running installation with the regions
 * and an image definition:
 *
 *     npm ci && npm run generate && npm run build
 *     npm start -- --version 1.0.3 --regions eastus,westus \
 *         --definition subscriptions/default/resourceGroups/images/galleries/golden/images/linux disk.raw
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createVersion, waitFor, watch } from "./publish.js";
import { readDisk } from "./read.js";
import { upload } from "./upload.js";

function transport(variable: string, otherwise: string, token: string): Transport {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return createGrpcTransport({
    baseUrl: `http://${process.env[variable] ?? otherwise}`,
    interceptors: [authorize],
  });
}

const { values, positionals } = parseArgs({
  options: {
    definition: { type: "string" },
    version: { type: "string" },
    regions: { type: "string" },
  },
  allowPositionals: true,
});
const { definition, version } = values;
const regions = values.regions?.split(",") ?? [];
const [path] = positionals;
const [home] = regions;
const last = regions.at(-1);
if (!definition || !version || !home || !last || !path) {
  console.error("usage: main --definition NAME --version NUMBER --regions HOME,... FILE");
  process.exit(2);
}

const token = process.env["STOA_TOKEN"] ?? execFileSync("stoa", ["token"], { encoding: "utf8" }).trim();
const catalog = transport("STOA_CATALOG_ENDPOINT", "127.0.0.1:7401", token);
const replication = transport("STOA_REPLICATION_ENDPOINT", "127.0.0.1:7402", token);

// subscriptions/{s}/resourceGroups/{rg}, to which everything of the definition belongs.
const group = definition.split("/").slice(0, 4).join("/");
const uploaded = await upload(replication, group, home, path);
const operation = await createVersion(catalog, definition, version, regions, uploaded.blob);
const name = `${definition}/versions/${version}`;
await watch(replication, name);
await waitFor(catalog, operation);
const read = await readDisk(replication, name, last);
if (read !== uploaded.sha256) {
  throw new Error(`read ${read} where ${uploaded.sha256} was uploaded`);
}
console.log(`published ${name}, sha256 ${read}`);
