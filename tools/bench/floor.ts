import { Pool } from 'undici';
import { z } from 'zod';

/*
 * The wire floor: the five calls of a certificate by a bare undici client that does nothing else, against the
 * same simulator, in a process of its own. Reads `{rest, processes}` as one line of JSON from standard input.
 */

const order = z.object({
  rest: z.string(),
  concurrency: z.number(),
  processes: z.array(z.object({ id: z.string(), customer: z.string() })),
});

const headers = { 'content-type': 'application/json' };
const signData = Buffer.alloc(400, 1).toString('base64');
/** About as long as a real certificate; the simulator is told to take it. */
const certificatePem = `-----BEGIN CERTIFICATE-----\n${'A'.repeat(900)}\n-----END CERTIFICATE-----\n`;

async function run(): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const { rest, concurrency, processes } = order.parse(
    JSON.parse(Buffer.concat(chunks).toString()),
  );
  const pool = new Pool(rest, { connections: 64, pipelining: 1 });
  const startedAt = performance.now();
  const before = process.cpuUsage();
  const waiting = processes.values();
  const work = async () => {
    for (const each of waiting) await certificate(pool, each);
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const cpu = process.cpuUsage(before);
  const seconds = (performance.now() - startedAt) / 1_000;
  await pool.close();
  console.log(JSON.stringify({ seconds, cpuMs: (cpu.user + cpu.system) / 1_000 }));
}

async function certificate(pool: Pool, each: { id: string; customer: string }): Promise<void> {
  const path = `/v1/customers/${each.customer}/certificateProvisioningProcesses/${each.id}`;
  const { subjectPublicKeyInfo } = z
    .object({ subjectPublicKeyInfo: z.string() })
    .parse(await call(pool, 'GET', path));
  await call(pool, 'POST', `${path}:claim`, { callerInstanceId: 'floor' });
  const signatureAlgorithm =
    subjectPublicKeyInfo.length > 200
      ? 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256'
      : 'SIGNATURE_ALGORITHM_ECDSA_SHA256';
  const operation = z
    .object({ name: z.string() })
    .parse(await call(pool, 'POST', `${path}:signData`, { signData, signatureAlgorithm }));
  await call(pool, 'GET', `/v1/${operation.name}`);
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
