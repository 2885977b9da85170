import { connect as connectPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';

/** undici's own connector does not let go of a socket that is still connecting; these are kept in `sockets`. */
export function connector(
  secure: ConnectionOptions,
  timeoutMs: number,
  sockets: Set<Socket>,
): buildConnector.connector {
  return ({ hostname, port, protocol, servername }, done) => {
    const isTls = protocol === 'https:';
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const where = { host, port: Number(port || (isTls ? 443 : 80)) };
    const names = servername === undefined ? {} : { servername };
    const socket = isTls ? connectTls({ ...secure, ...where, ...names }) : connectPlain(where);
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
