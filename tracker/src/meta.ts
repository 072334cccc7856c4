/**
 * Meta's first-party ids by Meta's rules: `fb.<subdomain index>.<ms>.<fbclid or random>`, four segments, a fifth one
 * of Meta's own library is left alone. A cookie that is there is never restamped; `_fbc` changes only when the URL
 * brings another fbclid, which goes in verbatim. Forms as `runtime/sinal_runtime/identity/click.py` reads them.
 */

export const DAYS = 90; // how long a click counts, for Meta and for us

const FBCLID = /^[\w~=-]{1,512}$/;
const FBC = /^fb\.\d{1,2}\.\d{13}\.([\w~=-]{1,512})/;
const FBP = /^fb\.\d{1,2}\.\d{13}\.\d{1,20}(\.|$)/;

/** The URL's fbclid if it can stand in an fbc; anything else is nobody's click. */
export function cleanFbclid(text: string | null): string | undefined {
  return text && FBCLID.test(text) ? text : undefined;
}

export function fbclidOf(fbc: string | undefined): string | undefined {
  return FBC.exec(fbc || "")?.[1];
}

/** What `_fbc` should be now (Unix ms): the cookie to the letter, or a new one for a click it does not know. */
export function nextFbc(cookie: string | undefined, fbclid: string | undefined, index: number, now: number): string | undefined {
  const known = fbclidOf(cookie);
  return !fbclid || known === fbclid ? known && cookie : `fb.${index}.${now}.${fbclid}`;
}

/** What `_fbp` should be now (Unix ms): the cookie to the letter, or a new browser id. */
export function nextFbp(cookie: string | undefined, _: unknown, index: number, now: number): string {
  return cookie && FBP.test(cookie) ? cookie : `fb.${index}.${now}.${Math.floor(Math.random() * 2147483648)}`;
}
