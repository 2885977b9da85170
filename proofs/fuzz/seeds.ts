import kept from './seeds.json' with { type: 'json' };

const der = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

function keySeeds(seeds: typeof kept.ec) {
  const { spki, info, signature, csr, certificate } = seeds;
  return {
    spki: der(spki),
    info: der(info),
    signature: der(signature),
    csr: der(csr),
    certificate: der(certificate),
  };
}

/** Keys, requests and certificates that fit together, DER; made by make-seeds.ts. */
export const seeds = {
  /** When the certificates are valid, in milliseconds since the epoch. */
  now: kept.now,
  root: der(kept.root),
  issuing: der(kept.issuing),
  rsa: keySeeds(kept.rsa),
  ec: keySeeds(kept.ec),
};
