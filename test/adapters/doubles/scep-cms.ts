import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  X509Certificate,
} from 'node:crypto';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { type Identity, signingKey } from './scep-pki.ts';

/*
 * The server's side of the messages, over pkijs and thus by other code than the adapter's. pkijs writes
 * octet strings in pieces, so the replies are BER now and then, as some servers' are.
 */

const data = '1.2.840.113549.1.7.1';
const signedData = '1.2.840.113549.1.7.2';
const envelopedData = '1.2.840.113549.1.7.3';
const rsaEncryption = '1.2.840.113549.1.1.1';

/** Content encryption of requests that the double takes, and of its replies. */
const ciphers = new Map([
  ['2.16.840.1.101.3.4.1.2', { name: 'aes-128-cbc', keyBytes: 16, ivBytes: 16 }],
  ['2.16.840.1.101.3.4.1.42', { name: 'aes-256-cbc', keyBytes: 32, ivBytes: 16 }],
  ['1.2.840.113549.3.7', { name: 'des-ede3-cbc', keyBytes: 24, ivBytes: 8 }],
  ['1.3.14.3.2.7', { name: 'des-ede3-cbc', keyBytes: 8, ivBytes: 8 }],
]);

/** A message is not what the RFC says. */
export class StrictError extends Error {
  override readonly name = 'StrictError';
}

export interface OpenedMessage {
  readonly messageType: string;
  readonly transactionId: string;
  readonly senderNonce: ArrayBuffer;
  readonly digest: string;
  readonly cipher: string;
  readonly signer: pkijs.Certificate;
  /** Undefined when the envelope is not for us or not readable: badMessageCheck. */
  readonly content: Uint8Array | undefined;
}

/** Reads and verifies a pkiMessage by the letter (RFC 8894 3.1, 3.2). */
export async function openMessage(
  body: Uint8Array,
  recipient: Identity,
  ca: Identity,
): Promise<OpenedMessage> {
  const info = pkijs.ContentInfo.fromBER(toArrayBuffer(body));
  if (info.contentType !== signedData) throw new StrictError('3.1: not a SignedData');
  const signed = new pkijs.SignedData({ schema: info.content });
  const [signerInfo, another] = signed.signerInfos;
  if (signerInfo === undefined || another !== undefined) {
    throw new StrictError('3.1: there must be one signer');
  }
  if (signed.encapContentInfo.eContentType !== data) throw new StrictError('3.1: not id-data');
  const [signer] = signed.certificates ?? [];
  if (!(signer instanceof pkijs.Certificate)) throw new StrictError('3.1: no signer certificate');
  if (!(await signed.verify({ signer: 0, checkChain: false }))) {
    throw new StrictError('3.1: the signature does not verify');
  }
  const issuer = pkijs.Certificate.fromBER(toArrayBuffer(ca.certificate));
  const isRa = signer.issuer.isEqual(issuer.subject) && (await signer.verify(issuer));
  if (!isRa && !(await signer.verify())) throw new StrictError('2.3: not self-signed, not an RA');
  const attribute = (number: number) => attributeOf(signerInfo, number);
  const nonce = attribute(5);
  if (!(nonce instanceof asn1js.OctetString) || nonce.getValue().byteLength !== 16) {
    throw new StrictError('3.2.1.5: senderNonce is not 16 octets');
  }
  const content = signed.encapContentInfo.eContent?.getValue();
  if (content === undefined) throw new StrictError('3.2.2: no envelope');
  const opened = openEnvelope(content, recipient);
  return {
    messageType: printable(attribute(2), 'messageType'),
    transactionId: printable(attribute(7), 'transactionID'),
    senderNonce: nonce.getValue(),
    digest: signerInfo.digestAlgorithm.algorithmId,
    signer,
    ...opened,
  };
}

function attributeOf(signerInfo: pkijs.SignerInfo, number: number): unknown {
  const type = `2.16.840.1.113733.1.9.${number}`;
  const found = signerInfo.signedAttrs?.attributes.filter((one) => one.type === type) ?? [];
  if (found.length !== 1) throw new StrictError(`3.2.1: attribute ${number} is not there once`);
  return found[0]?.values[0];
}

function printable(value: unknown, what: string): string {
  if (value instanceof asn1js.PrintableString) return value.getValue();
  throw new StrictError(`3.2.1: ${what} is not a PrintableString`);
}

function openEnvelope(content: ArrayBuffer, recipient: Identity) {
  const info = pkijs.ContentInfo.fromBER(content);
  if (info.contentType !== envelopedData) throw new StrictError('3.2.2: not an EnvelopedData');
  const enveloped = new pkijs.EnvelopedData({ schema: info.content });
  const [entry, another] = enveloped.recipientInfos;
  const transport = entry?.value;
  if (another !== undefined || !(transport instanceof pkijs.KeyTransRecipientInfo)) {
    throw new StrictError('3.2.2: there must be one key transport recipient');
  }
  const inner = enveloped.encryptedContentInfo;
  const cipher = inner.contentEncryptionAlgorithm.algorithmId;
  const found = ciphers.get(cipher);
  if (found === undefined || found.keyBytes === 8) throw new StrictError(`badAlg ${cipher}`);
  const certificate = pkijs.Certificate.fromBER(toArrayBuffer(recipient.certificate));
  const { rid } = transport;
  const isForUs =
    rid instanceof pkijs.IssuerAndSerialNumber &&
    rid.issuer.isEqual(certificate.issuer) &&
    rid.serialNumber.isEqual(certificate.serialNumber);
  if (!isForUs) return { cipher, content: undefined };
  const padding = constants.RSA_PKCS1_PADDING;
  const key = privateDecrypt(
    { key: recipient.key, padding },
    Buffer.from(transport.encryptedKey.getValue()),
  );
  const parameter = inner.contentEncryptionAlgorithm.algorithmParams;
  const decryption = createDecipheriv(found.name, key, Buffer.from(parameter.getValue()));
  const encrypted = Buffer.from(inner.getEncryptedContent());
  const plain = Buffer.concat([decryption.update(encrypted), decryption.final()]);
  return { cipher, content: new Uint8Array(plain) };
}

export interface Reply {
  readonly status: '0' | '2' | '3' | '11';
  readonly messageType?: string;
  readonly failInfo?: string;
  readonly failInfoText?: string;
  readonly transactionId: string;
  readonly recipientNonce: ArrayBuffer | undefined;
  /** A degenerate SignedData, already in its envelope. */
  readonly content?: ArrayBuffer;
}

/** A CertRep (RFC 8894 3.3.2), BER. */
export async function certRep(reply: Reply, signer: Identity): Promise<Buffer> {
  const certificate = pkijs.Certificate.fromBER(toArrayBuffer(signer.certificate));
  const content = reply.content ?? new ArrayBuffer(0);
  const digest = createHash('sha256').update(new Uint8Array(content)).digest();
  const text = (value: string) => new asn1js.PrintableString({ value });
  const own = (number: number, value: asn1js.AsnType) =>
    new pkijs.Attribute({ type: `2.16.840.1.113733.1.9.${number}`, values: [value] });
  const attributes = [
    new pkijs.Attribute({
      type: '1.2.840.113549.1.9.3',
      values: [new asn1js.ObjectIdentifier({ value: data })],
    }),
    new pkijs.Attribute({
      type: '1.2.840.113549.1.9.4',
      values: [new asn1js.OctetString({ valueHex: toArrayBuffer(digest) })],
    }),
    own(2, text(reply.messageType ?? '3')),
    own(3, text(reply.status)),
    own(7, text(reply.transactionId)),
    own(5, new asn1js.OctetString({ valueHex: toArrayBuffer(randomBytes(16)) })),
  ];
  if (reply.failInfo !== undefined) attributes.push(own(4, text(reply.failInfo)));
  if (reply.failInfoText !== undefined) {
    const value = new asn1js.Utf8String({ value: reply.failInfoText });
    attributes.push(new pkijs.Attribute({ type: '1.3.6.1.5.5.7.24.1', values: [value] }));
  }
  if (reply.recipientNonce !== undefined) {
    attributes.push(own(6, new asn1js.OctetString({ valueHex: reply.recipientNonce })));
  }
  const eContent = new asn1js.OctetString({ valueHex: content });
  const signed = new pkijs.SignedData({
    version: 1,
    encapContentInfo: new pkijs.EncapsulatedContentInfo({
      eContentType: data,
      ...(reply.content === undefined ? {} : { eContent }),
    }),
    signerInfos: [
      new pkijs.SignerInfo({
        version: 1,
        sid: new pkijs.IssuerAndSerialNumber({
          issuer: certificate.issuer,
          serialNumber: certificate.serialNumber,
        }),
        signedAttrs: new pkijs.SignedAndUnsignedAttributes({ type: 0, attributes }),
      }),
    ],
    certificates: [certificate],
  });
  await signed.sign(signingKey(signer), 0, 'SHA-256', toArrayBuffer(digest));
  return wrapped(signedData, signed.toSchema(true));
}

/** Certificates only, nobody signs (RFC 8894 3.4). */
export function certificateBag(certificates: readonly Uint8Array[]): Buffer {
  const bag = new pkijs.SignedData({
    version: 1,
    encapContentInfo: new pkijs.EncapsulatedContentInfo({ eContentType: data }),
    certificates: certificates.map((der) => pkijs.Certificate.fromBER(toArrayBuffer(der))),
  });
  return wrapped(signedData, bag.toSchema(true));
}

/** An EnvelopedData for one certificate. */
export function envelopeFor(
  content: Uint8Array,
  recipient: pkijs.Certificate,
  cipherOid: string,
): ArrayBuffer {
  const gcm = /^2\.16\.840\.1\.101\.3\.4\.1\.(?:6|46)\b/.exec(cipherOid)?.[0];
  if (gcm !== undefined) return authenticatedEnvelope(content, recipient, gcm, gcm !== cipherOid);
  const cipher = ciphers.get(cipherOid);
  if (cipher === undefined) throw new Error(`no cipher ${cipherOid}`);
  const key = randomBytes(cipher.keyBytes);
  const iv = randomBytes(cipher.ivBytes);
  const whole = cipher.keyBytes === 8 ? Buffer.concat([key, key, key]) : key;
  const encryption = createCipheriv(cipher.name, whole, iv);
  const encrypted = Buffer.concat([encryption.update(content), encryption.final()]);
  const parameter = new asn1js.OctetString({ valueHex: toArrayBuffer(iv) });
  const { schema } = enveloped(key, encrypted, recipient, cipherOid, parameter);
  return toArrayBuffer(wrapped(envelopedData, schema));
}

/**
 * AES-GCM: as RFC 5083 has it, with attributes that are authenticated, or `asInGo`, where mozilla's pkcs7, which step-ca
 * uses, puts the mac behind the content and wraps the parameters once more, in a tag without the constructed bit, with
 * the nonce as [4].
 */
function authenticatedEnvelope(
  content: Uint8Array,
  recipient: pkijs.Certificate,
  oid: string,
  asInGo: boolean,
): ArrayBuffer {
  const key = randomBytes(oid.endsWith('.6') ? 16 : 32);
  const nonce = randomBytes(12);
  const encryption = createCipheriv(`aes-${key.length === 16 ? 128 : 256}-gcm`, key, nonce);
  const attributes = new pkijs.Attribute({
    type: '1.2.840.113549.1.9.3',
    values: [new asn1js.ObjectIdentifier({ value: data })],
  }).toSchema();
  const listed = Buffer.from(new asn1js.Set({ value: [attributes] }).toBER());
  if (!asInGo) encryption.setAAD(listed);
  const encrypted = Buffer.concat([encryption.update(content), encryption.final()]);
  const mac = encryption.getAuthTag();
  const valueHex = toArrayBuffer(nonce);
  const parameters = new asn1js.Sequence({
    value: [
      asInGo
        ? new asn1js.Primitive({ idBlock: { tagClass: 3, tagNumber: 4 }, valueHex })
        : new asn1js.OctetString({ valueHex }),
      new asn1js.Integer({ value: mac.length }),
    ],
  });
  if (asInGo) {
    const odd = new asn1js.Primitive({
      idBlock: { tagClass: 1, tagNumber: 16 },
      valueHex: parameters.toBER(),
    });
    const all = Buffer.concat([encrypted, mac]);
    const { schema } = enveloped(key, all, recipient, oid, odd);
    return toArrayBuffer(wrapped(envelopedData, schema));
  }
  const { schema } = enveloped(key, encrypted, recipient, oid, parameters);
  schema.valueBlock.value.push(
    new asn1js.Constructed({ idBlock: { tagClass: 3, tagNumber: 1 }, value: [attributes] }),
    new asn1js.OctetString({ valueHex: toArrayBuffer(mac) }),
  );
  return toArrayBuffer(wrapped('1.2.840.113549.1.9.16.1.23', schema));
}

function enveloped(
  key: Buffer,
  encrypted: Buffer,
  recipient: pkijs.Certificate,
  cipherOid: string,
  parameter: asn1js.AsnType,
): { readonly schema: asn1js.Sequence } {
  const { publicKey } = new X509Certificate(Buffer.from(recipient.toSchema().toBER()));
  const padding = constants.RSA_PKCS1_PADDING;
  const data5652 = new pkijs.EnvelopedData({
    version: 0,
    recipientInfos: [
      new pkijs.RecipientInfo({
        variant: 1,
        value: new pkijs.KeyTransRecipientInfo({
          version: 0,
          rid: new pkijs.IssuerAndSerialNumber({
            issuer: recipient.issuer,
            serialNumber: recipient.serialNumber,
          }),
          keyEncryptionAlgorithm: new pkijs.AlgorithmIdentifier({
            algorithmId: rsaEncryption,
            algorithmParams: new asn1js.Null(),
          }),
          encryptedKey: new asn1js.OctetString({
            valueHex: toArrayBuffer(publicEncrypt({ key: publicKey, padding }, key)),
          }),
        }),
      }),
    ],
    encryptedContentInfo: new pkijs.EncryptedContentInfo({
      contentType: data,
      contentEncryptionAlgorithm: new pkijs.AlgorithmIdentifier({
        algorithmId: cipherOid,
        algorithmParams: parameter,
      }),
      encryptedContent: new asn1js.OctetString({ valueHex: toArrayBuffer(encrypted) }),
    }),
  });
  return { schema: data5652.toSchema() };
}

function wrapped(contentType: string, content: asn1js.Sequence): Buffer {
  const info = new pkijs.ContentInfo({ contentType, content });
  return Buffer.from(info.toSchema().toBER());
}

export function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
