/**
 * Meta's first-party ids by Meta's rules: `fb.<subdomain index>.<ms>.<fbclid or random>`, four segments, a fifth one
 * of Meta's own library is left alone. A cookie that is there is never restamped; `_fbc` changes only when the URL
 * brings another fbclid, which goes in verbatim. Forms as `runtime/sinal_runtime/identity/click.py` reads them.
 */

import { valuesOf } from "./query";

export const DAYS = 90; // how long a click counts, for Meta and for us

const FBC = /^fb\.\d\d?\.\d{13}\.([\w~=-]{1,512})/;
const FBP = /^fb\.\d\d?\.\d{13}\.\d{1,20}(\.|$)/;

/** The URL's last fbclid that can stand in an fbc, without a sentence's end behind it; anything else is nobody's click. */
export const fbclidIn = (url: string): string | undefined =>
  valuesOf(url, "fbclid").map((text) => (/^([\w~=-]{1,512})["').,;>]?$/.exec(text) || [])[1]).filter((text) => text).pop();

export const fbclidOf = (fbc: string | undefined): string | undefined => (FBC.exec(fbc as string) || [])[1];

export const isFbp = (text: string | undefined): boolean => FBP.test(text as string);

/** A new id of the index and value, made now (Unix ms). */
export const newMetaId = (index: number, now: number, value: unknown): string => `fb.${index}.${now}.${value}`;
