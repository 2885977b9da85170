/*
 * Every command that stands between fences (```sh) in the documentation: by which test it is run, or why by none.
 * A line that begins as one of these is that command.
 */

interface Proof {
  /** The file that runs it, or does the same with its own paths. */
  readonly run: string;
}
interface Reason {
  readonly notRun: string;
}

export const commands: Readonly<Record<string, Proof | Reason>> = {
  // README.md, CONTRIBUTING.md
  'npm ci && npm run demo': { run: '.ci/run' },
  'npm ci && npm test': { run: '.ci/run' },
  'npm ci': { run: '.ci/run' },
  'npm test': { run: '.ci/run' },
  'npm run simulator': { run: 'test/peers/documented-commands.test.ts' },
  'npm start': { run: 'test/peers/documented-commands.test.ts' },
  'curl -d \'{"count": 3}\' http://127.0.0.1:8462/devices': {
    run: 'test/peers/documented-commands.test.ts',
  },
  'curl http://127.0.0.1:8462/processes': { run: 'test/peers/documented-commands.test.ts' },
  'npm run conformance -- --kind ./my-ca.ts --options my-ca.yaml --roots ca.pem': {
    run: 'test/peers/documented-commands.test.ts',
  },
  'npm run conformance -- --kind ./examples/my-ca/my-ca.ts': {
    run: 'test/peers/documented-commands.test.ts',
  },
  'npm run certprov -- backup': { run: 'test/backup/backup.test.ts' },
  'npm run certprov -- check-config --config config.yaml': {
    run: 'test/peers/documented-commands.test.ts',
  },
  'npm install --save-exact <package>': { notRun: 'It names no package, and needs the registry.' },
  // docs/authorities/exec.md
  'install -d -m 700 /var/lib/certprov/ca': { run: 'test/peers/documented-commands.test.ts' },
  'cp …/examples/exec/openssl.cnf .': { run: 'test/peers/documented-commands.test.ts' },
  'touch index.txt && echo 01 > crlnumber': { run: 'test/peers/documented-commands.test.ts' },
  'openssl req -x509': { run: 'test/peers/documented-commands.test.ts' },
  'CERTPROV_REASON=keyCompromise': { run: 'test/peers/exec.test.ts' },
  // docs/authorities/local-ca.md
  'softhsm2-util --init-token': { run: 'test/peers/soft-hsm.ts' },
  'softhsm2-util --import': { run: 'test/peers/soft-hsm.ts' },
  'pkcs11-tool --module': { notRun: 'OpenSC is not among the packages of .ci/run; it only looks.' },
  // docs/authorities/vault-pki.md
  'vault write pki/roles/chromebooks': {
    notRun:
      'Neither Vault nor OpenBao can be had from Debian; the role was compared with their documentation.',
  },
  // docs/develop/releasing.md
  '.ci/run': { notRun: 'It is what runs all the others.' },
  'npm run release:check': { run: '.ci/run' },
  // docs/run/wifi.md
  'cat root.pem issuing.pem crl.pem': { run: 'test/peers/freeradius-server.ts' },
  'mv /etc/freeradius/3.0/certs/clients.pem.new': {
    notRun: 'It restarts the machine’s own RADIUS server; the tests start one of theirs.',
  },
};
