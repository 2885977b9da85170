/*
 * What the types of our libraries take for granted and Node's types do not have, so that `skipLibCheck` can stay off.
 */
import type { webcrypto } from 'node:crypto';

declare global {
  /*
   * The browsers' names of Web Crypto, which @peculiar/x509 and pkijs use. Node declares them inside `webcrypto` only;
   * the library "DOM" would bring `window` and its own keys, which are not Node's.
   */
  type AesCbcParams = webcrypto.AesCbcParams;
  type AesCtrParams = webcrypto.AesCtrParams;
  type AesDerivedKeyParams = webcrypto.AesDerivedKeyParams;
  type AesGcmParams = webcrypto.AesGcmParams;
  type AesKeyAlgorithm = webcrypto.AesKeyAlgorithm;
  type AesKeyGenParams = webcrypto.AesKeyGenParams;
  type Algorithm = webcrypto.Algorithm;
  type AlgorithmIdentifier = webcrypto.AlgorithmIdentifier;
  type BufferSource = webcrypto.BufferSource;
  type Crypto = webcrypto.Crypto;
  type CryptoKey = webcrypto.CryptoKey;
  type CryptoKeyPair = webcrypto.CryptoKeyPair;
  type EcKeyGenParams = webcrypto.EcKeyGenParams;
  type EcKeyImportParams = webcrypto.EcKeyImportParams;
  type EcdhKeyDeriveParams = webcrypto.EcdhKeyDeriveParams;
  type EcdsaParams = webcrypto.EcdsaParams;
  type HkdfParams = webcrypto.HkdfParams;
  type HmacImportParams = webcrypto.HmacImportParams;
  type HmacKeyGenParams = webcrypto.HmacKeyGenParams;
  type JsonWebKey = webcrypto.JsonWebKey;
  type KeyFormat = webcrypto.KeyFormat;
  type KeyUsage = webcrypto.KeyUsage;
  type Pbkdf2Params = webcrypto.Pbkdf2Params;
  type RsaHashedImportParams = webcrypto.RsaHashedImportParams;
  type RsaHashedKeyGenParams = webcrypto.RsaHashedKeyGenParams;
  type RsaOaepParams = webcrypto.RsaOaepParams;
  type RsaPssParams = webcrypto.RsaPssParams;
  /** As of the year in which pkijs extended it: without the methods whose names it uses, or which it does not know. */
  type SubtleCrypto = Omit<
    webcrypto.SubtleCrypto,
    'getPublicKey' | `${'en' | 'de'}capsulate${'Bits' | 'Key'}`
  >;
}

declare module '@google-cloud/pubsub/build/src/publisher/pubsub-message.d.ts' {
  /** Two interfaces in one, which differ by `null`: no problem but under `exactOptionalPropertyTypes`. */
  interface PubsubMessage {
    attributes?: Record<string, string> | null;
  }
}
