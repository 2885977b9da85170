import { messageOf } from '../words/message-of.ts';
import { oneLine } from '../words/one-line.ts';

/** What an operator has to do when a subscription cannot be read; `name` is its full name. */
export function problemOf(error: unknown, name: string, endpoint: string | undefined): string {
  const code = codeOf(error);
  const words = oneLine(messageOf(error), 300);
  const [, project, , subscription] = name.split('/');
  const where = `--project=${project}`;
  switch (code) {
    case status.NOT_FOUND:
      return `The subscription ${name} does not exist. Create it (gcloud pubsub subscriptions create ${subscription} --topic=TOPIC ${where}), or correct pubsub.project and pubsub.subscription.`;
    case status.PERMISSION_DENIED:
      return `Reading ${name} is not allowed. Grant the service account the role roles/pubsub.subscriber on it (gcloud pubsub subscriptions add-iam-policy-binding ${subscription} ${where} --member=serviceAccount:ACCOUNT --role=roles/pubsub.subscriber), and see that the Pub/Sub API is enabled. Google says: ${words}`;
    case status.UNAUTHENTICATED:
      return `Google does not accept the credentials for ${name}. Check google.credentials, that the key has not been deleted, and the clock. Google says: ${words}`;
    case status.FAILED_PRECONDITION:
      return `${name} cannot be pulled: it is detached from its topic or delivers by push. Make it a pull subscription (gcloud pubsub subscriptions modify-push-config ${subscription} --push-endpoint= ${where}) or create a new one. Google says: ${words}`;
    case status.INVALID_ARGUMENT:
      return `Pub/Sub does not accept the request for ${name}. Check pubsub.project and pubsub.subscription, and that the subscription delivers by pull. Google says: ${words}`;
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
      return `Pub/Sub${endpoint === undefined ? '' : ` at ${endpoint}`} cannot be reached, so ${name} is not read. Check the network and the proxy; it is tried again by itself. (${words})`;
    default:
      return code === undefined
        ? `${name} cannot be opened: ${words.replace(/[.\s]+$/, '')}. Check google.credentials.`
        : `${name} cannot be read (status ${code}): ${words}`;
  }
}

/** The canonical status codes that have a remedy of their own (google.rpc.Code). */
const status = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  FAILED_PRECONDITION: 9,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

function codeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'number' ? error.code : undefined;
}
