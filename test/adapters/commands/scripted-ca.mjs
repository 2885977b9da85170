// A command for the kind `exec`, as an administrator would write one: it signs with a local CA.
// Its first argument is a directory. The file `script` there says how the next runs shall end, a word a
// line; without it every order is served.
import { spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleepFor } from 'node:timers/promises';

const [directory = '.', call = 'issue'] = process.argv.slice(2);
const never = new AbortController().signal;
const { CERTPROV_REQUEST_ID, CERTPROV_REQUEST_FILE, CERTPROV_TICKET, CERTPROV_REASON, TOKEN } =
  process.env;

function nextWord() {
  const file = join(directory, 'script');
  const [word = '', ...rest] = readFileSync(file, { encoding: 'utf8', flag: 'a+' }).split('\n');
  writeFileSync(file, rest.join('\n'));
  return word;
}

// Loaded for what signs or revokes alone: every other run ends before it would be.
const loadPem = () => import('../../../src/x509/pem.ts');

async function connect() {
  const { default: localCa } = await import('../../../adapters/local-ca/local-ca.ts');
  const { systemClock } = await import('../../../src/time/clock.ts');
  return localCa.connect(
    localCa.options.parse({ directory: join(directory, 'ca') }),
    { clock: systemClock, resolvePath: (path) => path, readSecret: async () => '' },
    never,
  );
}

async function issue() {
  const told = JSON.parse(readFileSync(CERTPROV_REQUEST_FILE, 'utf8'));
  if (told.requestId !== CERTPROV_REQUEST_ID) throw new Error('two request ids');
  const { decodePem, encodePem } = await loadPem();
  const { readCertificationRequest } = await import(
    '../../../src/request/read-certification-request.ts'
  );
  const csr = decodePem(await text(process.stdin), 'CERTIFICATE REQUEST')[0].der;
  await using ca = await connect();
  const answer = await ca.issue(
    {
      requestId: told.requestId,
      processId: told.processId,
      keyType: told.keyType,
      subject: told.requestedBy,
      subjectPublicKeyInfo: readCertificationRequest(csr).subjectPublicKeyInfo,
      csr,
      wanted: { ...told, subject: told.subjectRdns },
    },
    never,
  );
  if (answer.kind !== 'issued') throw new Error(answer.reason);
  for (const der of [answer.certificate, ...answer.chain]) {
    process.stdout.write(encodePem('CERTIFICATE', der));
  }
}

async function revoke() {
  const { decodePem } = await loadPem();
  const certificate = decodePem(await text(process.stdin), 'CERTIFICATE')[0].der;
  await using ca = await connect();
  await ca.revoke(certificate, CERTPROV_REASON, never);
}

function hang() {
  // A child that does not care for SIGTERM, in the same group.
  const stubborn = `process.on('SIGTERM', () => {}); process.stdout.write('up'); setInterval(() => {}, 1e6)`;
  const child = spawn(process.execPath, ['-e', stubborn], { stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.once('data', () => {
    const found = { pids: [process.pid, child.pid], requestFile: CERTPROV_REQUEST_FILE };
    const file = join(directory, 'hanging.json');
    writeFileSync(`${file}.new`, JSON.stringify(found));
    renameSync(`${file}.new`, file);
  });
}

const word = call === 'issue' ? nextWord() : call;
switch (word) {
  case 'pend':
    console.log(`ticket-${CERTPROV_REQUEST_ID}-s3cret`);
    process.exitCode = 3;
    break;
  case 'still':
    process.exitCode = CERTPROV_TICKET === `ticket-${CERTPROV_REQUEST_ID}-s3cret` ? 3 : 1;
    break;
  case 'reject':
    console.error(`the token is ${TOKEN}`);
    console.error(`an officer with ${TOKEN} declined`);
    process.exitCode = 4;
    break;
  case 'fail':
    console.error(`no answer to ${TOKEN}, the ticket is ${CERTPROV_TICKET}`);
    process.exitCode = 1;
    break;
  case 'garbage':
    console.log(`this is no certificate, but ${TOKEN}`);
    break;
  case 'hang':
    hang();
    break;
  case 'slow':
    await sleepFor(300);
    await issue();
    break;
  case 'revoke':
    await revoke();
    break;
  case 'check':
    break;
  default:
    await issue();
}
