import { Pool } from 'undici';
import { z } from 'zod';
import { certifierLike, Notes, verifySignature } from './work.ts';

/*
 * The wire floor: the five calls of a certificate by a bare undici client that does nothing else, against the same
 * simulator, in a process of its own. It reads what the service reads and sends what the service sends: a finished
 * operation with the device's signature, a certificate that the service was given for another device with such a
 * key. The work floor also does what any right program must (work.ts), between the same calls. Reads its order as one
 * line of JSON from standard input.
 */

const order = z.object({
  rest: z.string(),
  concurrency: z.number(),
  processes: z.array(z.object({ id: z.string(), customer: z.string() })),
  /** PEM; for RSA and EC devices. */
  certificates: z.object({ rsa: z.string(), ec: z.string() }),
  /** Where the work floor's notes are; without it there is no work. */
  directory: z.string().optional(),
});
type Order = z.output<typeof order>;

const headers = { 'content-type': 'application/json' };
/** About as long as a CSR's to-be-signed bytes. */
const bytesToBeSigned = Buffer.alloc(400, 1);
const signData = bytesToBeSigned.toString('base64');

interface Asked {
  readonly id: string;
  readonly path: string;
  readonly kind: 'rsa' | 'ec';
  readonly subjectPublicKeyInfo: string;
  readonly operation: string;
}

/** What is done between the calls. */
interface Work {
  note(id: string, what: object): Promise<void>;
  /** The certificate to be uploaded, PEM. */
  certify(asked: Asked, signature: string): Promise<string>;
}

async function run(): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const { rest, concurrency, processes, certificates, directory } = order.parse(
    JSON.parse(Buffer.concat(chunks).toString()),
  );
  await using notes = directory === undefined ? undefined : new Notes(directory);
  const work = notes === undefined ? noWork(certificates) : rightWork(notes, certificates);
  const pool = new Pool(rest, { connections: 64, pipelining: 1 });
  const startedAt = performance.now();
  const before = process.cpuUsage();
  // All are asked before the first is looked at: by then its device has signed, and one look is enough.
  const asked: Asked[] = [];
  await inParallel(concurrency, processes, async (each) => {
    asked.push(await ask(pool, each, work));
  });
  await inParallel(concurrency, asked, (each) => deliver(pool, each, work));
  const cpu = process.cpuUsage(before);
  const seconds = (performance.now() - startedAt) / 1_000;
  await pool.close();
  console.log(JSON.stringify({ seconds, cpuMs: (cpu.user + cpu.system) / 1_000 }));
}

async function inParallel<Of>(
  concurrency: number,
  list: readonly Of[],
  act: (each: Of) => Promise<void>,
): Promise<void> {
  const waiting = list.values();
  const work = async () => {
    for (const each of waiting) await act(each);
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

function noWork(certificates: Order['certificates']): Work {
  return {
    note: async () => undefined,
    certify: async ({ kind }) => certificates[kind],
  };
}

function rightWork(notes: Notes, certificates: Order['certificates']): Work {
  const certify = { rsa: certifierLike(certificates.rsa), ec: certifierLike(certificates.ec) };
  return {
    note: (id, what) => notes.write(id, what),
    async certify(asked, signature) {
      const { id, kind, subjectPublicKeyInfo } = asked;
      const key = Buffer.from(subjectPublicKeyInfo, 'base64');
      verifySignature(key, bytesToBeSigned, Buffer.from(signature, 'base64'));
      await notes.write(id, { ...asked, signData, signature });
      const certificate = certify[kind](key);
      await notes.write(id, { ...asked, certificate });
      return certificate;
    },
  };
}

async function ask(pool: Pool, each: Order['processes'][number], work: Work): Promise<Asked> {
  const { id, customer } = each;
  await work.note(id, each);
  const path = `/v1/customers/${customer}/certificateProvisioningProcesses/${id}`;
  const { subjectPublicKeyInfo } = z
    .object({ subjectPublicKeyInfo: z.string() })
    .parse(await call(pool, 'GET', path));
  await call(pool, 'POST', `${path}:claim`, { callerInstanceId: 'floor' });
  const kind = subjectPublicKeyInfo.length > 200 ? 'rsa' : 'ec';
  const signatureAlgorithm =
    kind === 'rsa'
      ? 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256'
      : 'SIGNATURE_ALGORITHM_ECDSA_SHA256';
  await work.note(id, { ...each, subjectPublicKeyInfo, signData });
  const operation = z
    .object({ name: z.string() })
    .parse(await call(pool, 'POST', `${path}:signData`, { signData, signatureAlgorithm }));
  return { id, path, kind, subjectPublicKeyInfo, operation: operation.name };
}

const finished = z.object({
  done: z.literal(true, 'A device has not signed yet: a second look would be needed.'),
  response: z.object({ certificateProvisioningProcess: z.object({ signature: z.string() }) }),
});

async function deliver(pool: Pool, asked: Asked, work: Work): Promise<void> {
  const { response } = finished.parse(await call(pool, 'GET', `/v1/${asked.operation}`));
  const { signature } = response.certificateProvisioningProcess;
  const certificatePem = await work.certify(asked, signature);
  await call(pool, 'POST', `${asked.path}:uploadCertificate`, { certificatePem });
}

async function call(pool: Pool, method: 'GET' | 'POST', path: string, body?: object) {
  const text = body === undefined ? null : JSON.stringify(body);
  const answer = await pool.request({ method, path, headers, body: text });
  const json: unknown = await answer.body.json();
  if (answer.statusCode !== 200) throw new Error(`${method} ${path}: ${JSON.stringify(json)}`);
  return json;
}

await run();
