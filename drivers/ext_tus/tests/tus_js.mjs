// node tus_js.mjs FOLDER ENDPOINT FILE PIECE PARALLEL ABORT: uploads FILE with tus-js-client, so many parts of it at once; prints the final URL.
// ABORT: bytes after which the upload is given up, 0: never.
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';

const [folder, endpoint, file, piece, parallel, abort] = process.argv.slice(2);
let given = false;
const tus = createRequire(`${folder}/`)('tus-js-client');
const upload = new tus.Upload(createReadStream(file), {
  endpoint,
  chunkSize: Number(piece),
  parallelUploads: Number(parallel),
  retryDelays: [100, 500, 1000, 1000, 1000, 2000, 2000, 2000],
  headers: { 'X-Identity-Status': 'Confirmed', 'X-User-Id': 'user-demo', 'X-Project-Id': 'demo', 'X-Roles': 'member,reader' },
  metadata: { filename: 'disk.img' },
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onProgress: (sent) => {
    console.error(`sent ${sent}`);
    if (!Number(abort) || sent < Number(abort) || given) return;
    given = true;
    upload.abort(true).then(() => console.log('given up')); // node ends when each part has been asked to go
  },
  onSuccess: () => { console.log(upload.url); process.exit(0); },
});
upload.start();
