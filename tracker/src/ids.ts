/** Random ids of 22 letters and digits (113 bits): every gateway's slot keeps them whole. */

const LENGTH = 22;
const FAIR = 252; // 7 * 36: bytes from there on would make some letters likelier

export function shortId(): string {
  let id = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(64))) if (byte < FAIR) id += (byte % 36).toString(36);
  // 64 bytes are short of 22 fair ones once in 10^60 times.
  return id.slice(0, LENGTH);
}

/** A short fingerprint (FNV-1a, 32 bits) to see whether a campaign's parameters are those of last time. */
export function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return (hash >>> 0).toString(36);
}
