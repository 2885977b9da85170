import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';

/**
 * undici's own connector does not let go of a socket that is still connecting; these are kept in `sockets`.
 *
 * The host's name is what the server is told first (SNI, RFC 6066 3): one that serves several names shows the
 * certificate of another without it. An address is no name there; it is only compared with the certificate.
 */
export function connector(
  secure: ConnectionOptions,
  timeoutMs: number,
  sockets: Set<Socket>,
): buildConnector.connector {
  return ({ hostname, port, protocol }, done) => {
    const isTls = protocol === 'https:';
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const where = { host, port: Number(port || (isTls ? 443 : 80)) };
    const servername = isIP(host) === 0 ? host : '';
    const socket = isTls ? connectTls({ ...secure, ...where, servername }) : connectPlain(where);
    sockets.add(socket);
    const late = setTimeout(() => {
      socket.destroy(Object.assign(new Error('No connection.'), { code: 'ETIMEDOUT' }));
    }, timeoutMs);
    const failed = (error: Error) => done(error, null);
    socket.once('error', failed);
    socket.once('close', () => {
      clearTimeout(late);
      sockets.delete(socket);
      if (!connected) failed(Object.assign(new Error('Closed.'), { code: 'ECONNRESET' }));
    });
    let connected = false;
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      connected = true;
      clearTimeout(late);
      socket.off('error', failed);
      done(null, socket);
    });
  };
}
