// Runs OpenSSL's CMP mock server, which binds every interface, in a network namespace of its own (started by
// `unshare -n`), and lets it be reached through a Unix socket alone.
//
// cmp-namespace.mjs SOCKET argument… — prints "ready" when the socket takes connections.
import { execFileSync, spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';

const port = 8123;
const [socketPath, ...given] = process.argv.slice(2);
execFileSync('ip', ['link', 'set', 'lo', 'up']);
const server = spawn('openssl', ['cmp', '-port', String(port), ...given], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
server.on('exit', (code) => process.exit(code ?? 1));
// Ended with our standard input, so that nothing outlives the tests.
process.stdin.on('end', () => server.kill('SIGKILL')).resume();

const forward = createServer((near) => {
  const far = connect(port, '127.0.0.1');
  near.pipe(far).pipe(near);
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
  near.on('close', () => far.destroy());
  far.on('close', () => near.destroy());
});
let said = '';
server.stdout.on('data', (chunk) => {
  process.stderr.write(chunk);
  said = (said + chunk).slice(-1_000);
  if (!said.includes('ACCEPT') || forward.listening) return;
  forward.listen(socketPath, () => process.stdout.write('ready\n'));
});
