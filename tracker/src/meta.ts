/**
 * Meta's first-party ids by Meta's rules: `fb.<subdomain index>.<ms>.<fbclid or random>`, four segments, a fifth one
 * of Meta's own library is left alone. A cookie that is there is never restamped; `_fbc` changes only when the URL
 * brings another fbclid, which goes in verbatim. Forms as `runtime/sinal_hub/identity/click.py` reads them.
 */

import { valuesOf } from "./query";

export const DAYS = 90; // how long a click counts, for Meta and for us

const FORM = /^fb\.\d\d?\.\d{13}\.([\w~=-]{1,512})/;

/** The URL's last fbclid that can stand in an fbc, without a sentence's end behind it; anything else is nobody's click. */
export const fbclidIn = (url: string): string | undefined =>
  valuesOf(url, "fbclid").map((text) => (/^([\w~=-]{1,512})["').,;>]?$/.exec(text) || [])[1]).filter((text) => text).pop();

/** What stands in one of Meta's ids: an `_fbc`'s fbclid, an `_fbp`'s number. */
export const valueOf = (id: string | undefined): string | undefined => (FORM.exec(id as string) || [])[1];

/** A new id for cookies of this domain (empty: of a host by itself), made now (Unix ms). */
export const newMetaId = (domain: string, now: number, value: unknown): string => `fb.${domain.split(".").length - 1 || 1}.${now}.${value}`;
