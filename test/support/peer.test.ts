import { afterEach, describe, expect, it, vi } from 'vitest';
import { requirePeer } from './peer.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe('requirePeer', () => {
  it('says nothing about a server that is there', async () => {
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await requirePeer('Server', async () => true, 'install it')).toBe(true);
    expect(said).not.toHaveBeenCalled();
  });

  it('skips aloud what is missing', async () => {
    vi.stubEnv('REQUIRE_PEERS', undefined);
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await requirePeer('Server', () => false, 'install it')).toBe(false);
    expect(said).toHaveBeenCalledWith('SKIPPED: Server is not on this machine (install it).\n');
  });

  it('fails for what is missing when peers are required', async () => {
    vi.stubEnv('REQUIRE_PEERS', '1');
    await expect(requirePeer('Server', () => false, 'install it')).rejects.toThrow(/install it/);
  });
});
