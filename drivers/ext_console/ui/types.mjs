// Types of the API's requests and answers, from the service's OpenAPI documents: the core's, and that of the extensions which the console shows.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const core = read("../../../docs/openapi.json");
const extensions = read("openapi.json");
const document = { ...core, paths: { ...core.paths, ...extensions.paths } };
const text = astToString(await openapiTS(document));
writeFileSync(new URL("src/api/schema.d.ts", import.meta.url), `// Made by types.mjs.\n${text}`);
