import { z } from 'zod';
import { googleCredentials } from '../../google-auth/google-credentials.ts';
import { isLoopback } from '../../network/host.ts';
import { whenSound } from './when-sound.ts';

export const google = z
  .strictObject({
    endpoint: z
      .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
      .default('https://chromemanagement.googleapis.com')
      .transform((text) => text.replace(/\/+$/, ''))
      .describe("The API's root. Plain http is allowed on loopback only, for the simulator."),
    credentials: googleCredentials
      .default('application-default')
      .describe(
        'Who we are to Google, for the API and for Pub/Sub: `application-default`, `{ file: PATH }` (a service-account key or a workload-identity file), or `none` (with a loopback endpoint only).',
      ),
    requestsPerSecond: z
      .number()
      .positive()
      .max(10_000)
      .default(50)
      .describe("Budget for all calls of this instance to Google's API together."),
  })
  .superRefine(({ endpoint, credentials }, context) => {
    const { username, password, hostname, protocol } = new URL(endpoint);
    const say = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message });
    if (username !== '' || password !== '') {
      say(
        'endpoint',
        'must not hold a user name or a password. Fix: remove what stands before the @; who we are is said by google.credentials',
      );
    }
    if (isLoopback(hostname)) return;
    if (credentials === 'none') {
      say(
        'credentials',
        'none is allowed only with a loopback endpoint. Fix: write application-default or { file: PATH }, or point google.endpoint at the simulator',
      );
    }
    if (protocol === 'http:') {
      say(
        'endpoint',
        'plain http would show access tokens to the network. Fix: write https://, or a loopback address for the simulator',
      );
    }
  }, whenSound('endpoint'));

/** A subscription's full name holds its project. */
const fullName = /^projects\/([^/]+)\/subscriptions\/(.+)$/;

export const pubsub = z
  .strictObject({
    project: z
      .string()
      .regex(
        /^[a-z][a-z0-9.:-]{2,61}[a-z0-9]$/,
        'must be a Google Cloud project id: lower-case letters, digits and hyphens',
      )
      .optional()
      .describe(
        'The Google Cloud project of the subscription. Not needed when `subscription` is a full name.',
      ),
    subscription: z
      .string()
      .regex(
        /^(?:projects\/[^/\s]+\/subscriptions\/)?[A-Za-z][\w.~+%-]{2,254}$/,
        'must be a subscription’s name, or a full name of the form projects/PROJECT/subscriptions/NAME',
      )
      .describe(
        'The subscription on which notifications arrive, by its name or as `projects/PROJECT/subscriptions/NAME`.',
      ),
    endpoint: z
      .string()
      .regex(
        /^(?:https?:\/\/)?(?:[\w.-]+|\[[\da-fA-F:]+\])(?::\d{1,5})?\/?$/,
        'must be a host and port, like 127.0.0.1:8461',
      )
      .optional()
      .describe(
        "Another endpoint, for an emulator. When it is not given, the environment variable `PUBSUB_EMULATOR_HOST` is looked at, then Google's own is used.",
      ),
  })
  .superRefine(
    ({ project, subscription }, context) => {
      const own = fullName.exec(subscription)?.[1];
      const say = (message: string) =>
        context.addIssue({ code: 'custom', path: ['project'], message });
      if (own === undefined && project === undefined) {
        say(
          'is missing. Fix: add project, or write the subscription as projects/PROJECT/subscriptions/NAME',
        );
      } else if (own !== undefined && project !== undefined && own !== project) {
        say(
          'is another project than the one in pubsub.subscription. Fix: remove pubsub.project, or correct one of the two',
        );
      }
    },
    whenSound('project', 'subscription'),
  )
  .transform(({ project: given = '', subscription, endpoint }) => {
    const [, project = given, name = subscription] = fullName.exec(subscription) ?? [];
    return { project, subscription: name, endpoint };
  });
