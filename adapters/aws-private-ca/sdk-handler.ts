import type { ACMPCAClientConfig } from '@aws-sdk/client-acm-pca';
import type { Clock } from '../../src/time/clock.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { jsonBody } from '../shared/json-answer.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';

type RequestHandler = NonNullable<ACMPCAClientConfig['requestHandler']>;

/** What of the SDK's HttpRequest is used. */
interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

/**
 * Our HTTP in place of the SDK's, for its bounds, its trust and its proxy. This API only ever posts JSON. What is no
 * error of AWS is thrown here as what it is: the SDK would make one of it.
 */
export function sdkHandler(http: AdapterHttp, clock: Clock): RequestHandler {
  const never = new AbortController().signal;
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request: SdkRequest, options: { readonly abortSignal?: AbortSignal } = {}) {
      const { protocol, hostname, port, path, headers, body } = request;
      const authority = port === undefined ? hostname : `${hostname}:${port}`;
      const answer = await http.request(
        {
          method: 'POST',
          url: `${protocol}//${authority}${path}`,
          headers: sendable(headers),
          ...(typeof body === 'string' || body instanceof Uint8Array ? { body } : {}),
          safe: /\.(Get|Describe|List)\w*$/.test(headers['x-amz-target'] ?? ''),
        },
        options.abortSignal ?? never,
      );
      if (answer.status >= 300 && !isOwn(answer)) {
        const { 'x-amz-security-token': sessionToken = '' } = headers;
        const words = serverWords(answer.body, [sessionToken]);
        throw statusProblem(answer, {
          what: `aws-private-ca: ${authority} answered ${answer.status}: ${words || 'nothing'}`,
          isOwn: false,
          now: clock.now(),
          hint: 'Look at endpoint, and at the way there.',
        });
      }
      const received: Record<string, string> = {};
      for (const [name, value] of Object.entries(answer.headers)) {
        if (typeof value === 'string') received[name] = value;
      }
      const response = {
        statusCode: answer.status,
        headers: received,
        body: new Uint8Array(answer.body),
      };
      return { response };
    },
    updateHttpClientConfig() {
      // There is nothing of the SDK's to configure.
    },
    httpHandlerConfigs: () => ({}),
    destroy() {
      // The adapter owns the connections.
    },
  } as RequestHandler;
}

/** AWS JSON 1.1 names an error in a header or in `__type`. */
function isOwn({ headers, body }: HttpAnswer): boolean {
  if (typeof headers['x-amzn-errortype'] === 'string') return true;
  const json = jsonBody(body);
  const type: unknown =
    typeof json === 'object' && json !== null ? Reflect.get(json, '__type') : undefined;
  return typeof type === 'string' && type !== '';
}

/** undici writes these itself, from the URL and the body. */
function sendable(headers: Record<string, string>): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-length');
  return Object.fromEntries(kept);
}
