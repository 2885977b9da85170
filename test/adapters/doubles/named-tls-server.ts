import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { encodePem } from '../../../src/x509/pem.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { DoubleCa } from './est-cmp-ca.ts';

/** An HTTPS server that shows `stranger.example` to whoever does not say which of its `names` is meant. */
export interface NamedTlsServer extends AsyncDisposable {
  readonly port: number;
  /** PEM file with the root of all its certificates. */
  readonly caFile: string;
  readonly directory: string;
  /** The name that each connection asked for; false: none. */
  readonly asked: (string | false)[];
  /** Method and path of every request. */
  readonly requests: string[];
}

/** Answers every request with 503. Names may be DNS names only; all of them are on 127.0.0.1. */
export async function startNamedTlsServer(names: readonly string[]): Promise<NamedTlsServer> {
  const directory = await temporaryDirectory();
  const ca = new DoubleCa();
  const caFile = join(directory.path, 'root.pem');
  await writeFile(caFile, encodePem('CERTIFICATE', ca.root));
  const contextFor = (name: string) => {
    const { certificatePem, keyPem } = ca.serverCredentials(name);
    return { cert: certificatePem, key: keyPem };
  };
  const contexts = new Map(names.map((name) => [name, createSecureContext(contextFor(name))]));
  const server = createServer({
    ...contextFor('stranger.example'),
    SNICallback: (name, done) => done(null, contexts.get(name)),
  });
  const asked: (string | false)[] = [];
  const requests: string[] = [];
  server.on('secureConnection', (socket: TLSSocket & { servername?: string | false }) => {
    asked.push(socket.servername ?? false);
  });
  server.on('request', (request, answer) => {
    requests.push(`${request.method} ${request.url}`);
    answer.writeHead(503).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    caFile,
    directory: directory.path,
    asked,
    requests,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await directory[Symbol.asyncDispose]();
    },
  };
}

export interface TunnelProxy extends AsyncDisposable {
  readonly url: string;
  /** host:port of every CONNECT. */
  readonly asked: string[];
}

/** A proxy that opens tunnels (RFC 9110 9.3.6), to this machine whatever the name, and does nothing else. */
export async function startTunnelProxy(): Promise<TunnelProxy> {
  const asked: string[] = [];
  const server = createHttpServer((_, answer) => answer.writeHead(405).end());
  const open = new Set<Socket>();
  server.on('connect', (request, socket: Socket) => {
    asked.push(request.url ?? '');
    const { port } = new URL(`tcp://${request.url}`);
    const target = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(target).pipe(socket);
    });
    open.add(socket);
    socket.on('close', () => open.delete(socket) && target.destroy());
    socket.on('error', () => target.destroy());
    target.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.closeAllConnections();
      server.close();
    },
  };
}
