import { Pool } from 'undici';
import { z } from 'zod';

/*
 * The wire floor: the five calls of a certificate by a bare undici client that does nothing else, against the same
 * simulator, in a process of its own. It reads what the service reads and sends what the service sends: a finished
 * operation with the device's signature, a certificate that the service was given for another device with such a
 * key. Reads its order as one line of JSON from standard input.
 */

const order = z.object({
  rest: z.string(),
  concurrency: z.number(),
  processes: z.array(z.object({ id: z.string(), customer: z.string() })),
  /** PEM; for RSA and EC devices. */
  certificates: z.object({ rsa: z.string(), ec: z.string() }),
});
type Order = z.output<typeof order>;

const headers = { 'content-type': 'application/json' };
/** About as long as a CSR's to-be-signed bytes. */
const signData = Buffer.alloc(400, 1).toString('base64');

interface Asked {
  readonly path: string;
  readonly kind: 'rsa' | 'ec';
  readonly operation: string;
}

async function run(): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const { rest, concurrency, processes, certificates } = order.parse(
    JSON.parse(Buffer.concat(chunks).toString()),
  );
  const pool = new Pool(rest, { connections: 64, pipelining: 1 });
  const startedAt = performance.now();
  const before = process.cpuUsage();
  // All are asked before the first is looked at: by then its device has signed, and one look is enough.
  const asked: Asked[] = [];
  await inParallel(concurrency, processes, async (each) => {
    asked.push(await ask(pool, each));
  });
  await inParallel(concurrency, asked, (each) => deliver(pool, each, certificates));
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

async function ask(pool: Pool, each: Order['processes'][number]): Promise<Asked> {
  const path = `/v1/customers/${each.customer}/certificateProvisioningProcesses/${each.id}`;
  const { subjectPublicKeyInfo } = z
    .object({ subjectPublicKeyInfo: z.string() })
    .parse(await call(pool, 'GET', path));
  await call(pool, 'POST', `${path}:claim`, { callerInstanceId: 'floor' });
  const kind = subjectPublicKeyInfo.length > 200 ? 'rsa' : 'ec';
  const signatureAlgorithm =
    kind === 'rsa'
      ? 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256'
      : 'SIGNATURE_ALGORITHM_ECDSA_SHA256';
  const operation = z
    .object({ name: z.string() })
    .parse(await call(pool, 'POST', `${path}:signData`, { signData, signatureAlgorithm }));
  return { path, kind, operation: operation.name };
}

async function deliver(
  pool: Pool,
  { path, kind, operation }: Asked,
  certificates: Order['certificates'],
): Promise<void> {
  const { done } = z
    .object({ done: z.boolean().optional() })
    .parse(await call(pool, 'GET', `/v1/${operation}`));
  if (done !== true) throw new Error('A device has not signed yet: a second look would be needed.');
  const certificatePem = certificates[kind];
  await call(pool, 'POST', `${path}:uploadCertificate`, { certificatePem });
}

async function call(pool: Pool, method: 'GET' | 'POST', path: string, body?: object) {
  const text = body === undefined ? null : JSON.stringify(body);
  const answer = await pool.request({ method, path, headers, body: text });
  const json: unknown = await answer.body.json();
  if (answer.statusCode !== 200) throw new Error(`${method} ${path}: ${JSON.stringify(json)}`);
  return json;
}

await run();
