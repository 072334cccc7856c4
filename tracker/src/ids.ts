/** Random ids of 22 letters and digits (113 bits): every gateway's slot keeps them whole. */
export const shortId = (): string => [...crypto.getRandomValues(new Uint8Array(22))].map((byte) => (byte % 36).toString(36)).join("");

/** A short fingerprint of 32 bits to see whether a campaign's parameters are those of last time; nothing has none. */
export function fingerprint(text: string): string {
  let hash = 0;
  for (const char of text) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return text && hash.toString(36);
}
