import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import { portOf, withoutBrackets } from '../../src/network/host.ts';

/**
 * undici's own connector does not let go of a socket that is still connecting; these are kept in `sockets`. Given a
 * tunnel (`httpSocket`), TLS begins in there.
 *
 * The host's name is what the server is told first (SNI, RFC 6066 3): one that serves several names shows the
 * certificate of another without it. An address is no name there; it is only compared with the certificate.
 */
export function connector(
  secure: ConnectionOptions,
  timeoutMs: number,
  sockets: Set<Socket>,
): buildConnector.connector {
  return ({ hostname, httpSocket, ...at }, done) => {
    const isTls = at.protocol === 'https:';
    const host = withoutBrackets(hostname);
    const where = { host, port: portOf(at) };
    const servername = isIP(host) === 0 ? host : '';
    const inside = httpSocket === undefined ? {} : { socket: httpSocket };
    const socket = isTls
      ? connectTls({ ...secure, ...where, ...inside, servername })
      : connectPlain(where);
    sockets.add(socket);
    const late = setTimeout(() => {
      socket.destroy(Object.assign(new Error('No connection.'), { code: 'ETIMEDOUT' }));
    }, timeoutMs);
    const failed = (error: Error) => done(error, null);
    socket.once('error', failed);
    socket.once('close', () => {
      clearTimeout(late);
      sockets.delete(socket);
      httpSocket?.destroy();
      if (!connected) failed(Object.assign(new Error('Closed.'), { code: 'ECONNRESET' }));
    });
    let connected = false;
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      connected = true;
      clearTimeout(late);
      socket.off('error', failed);
      // An alert, which in TLS 1.3 may come behind the handshake: Node only tells it, and undici would forget it
      // over the end of the stream.
      if (isTls) socket.once('error', (error) => socket.destroy(error));
      done(null, socket);
    });
  };
}
