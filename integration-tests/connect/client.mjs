// Calls a library as the clients of Connect do, over all that its protocol can be spoken
// over, and prints what came of it. Arguments: the URL, a file of descriptors.
import { readFileSync } from "node:fs";
import { create, createFileRegistry, fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import { BytesValueSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";

const [url, descriptors] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const Library = registry.getService("library.v1.Library");
const All = registry.getMessage("library.v1.All");

async function failure(call) {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("it did not fail");
}

async function run(options) {
  const library = createClient(Library, createConnectTransport({ baseUrl: url, ...options }));
  const book = await library.getBook({ id: 7n });
  const many = Array.from({ length: 50 }, () => library.getBook({ id: 7n }));
  const atOnce = (await Promise.all(many)).filter((book) => book.id === 7n).length;
  const long = await library.getBook({ id: 8n });
  const all = { large: "-5", moment: "2026-01-02T03:04:05Z", within: { word: "in" } };
  const echo = await library.echo(fromJson(All, all));
  const notFound = await failure(library.getBook({ id: 9n }));
  const own = await failure(
    library.fail({ raw: 1231n, text: "out of stock", details: new Uint8Array([1, 2]) }),
  );
  const [details] = own.findDetails(BytesValueSchema);
  const late = await failure(library.sleep({ seconds: 30n }, { timeoutMs: 200 }));
  let tags;
  const beside = await library.beside({}, {
    headers: { tenant: "acme" },
    timeoutMs: 20000,
    onHeader: (headers) => (tags = headers.get("tag")),
  });
  return {
    transport: options,
    book: book.bookTitle,
    id: String(book.id),
    atOnce,
    long: long.bookTitle.length,
    echo: toJson(All, echo),
    note: await library.note({ bookTitle: "noted" }).then((empty) => ({ ...empty, $typeName: undefined })),
    notFound: { code: notFound.code, message: notFound.rawMessage },
    own: {
      code: own.code,
      message: own.rawMessage,
      details: Buffer.from(details.value).toString("base64"),
      header: own.metadata.get("dora-code"),
      reason: own.metadata.get("reason"),
    },
    late: late.code,
    pairs: beside.pairs.tenant,
    tags,
    remaining: beside.remainingMs > 0n && beside.remainingMs <= 20000n,
  };
}

const runs = [];
for (const httpVersion of ["1.1", "2"]) {
  for (const useBinaryFormat of [false, true]) {
    for (const useHttpGet of [false, true]) {
      runs.push(await run({ httpVersion, useBinaryFormat, useHttpGet }));
    }
  }
}
console.log(JSON.stringify(runs));
process.exit(0);
