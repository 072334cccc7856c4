/**
 * First-party cookies for the whole site: on the highest domain that the browser lets us write to, found by trying,
 * because no list of public suffixes fits into a script. The depth of that domain is Meta's subdomain index.
 */

import { DAYS } from "./meta";
import { quiet } from "./quiet";

const PROBE = "_sinal_probe";

/** Domains to try, from the shortest: `www.loja.com.br` gives com.br, loja.com.br, www.loja.com.br. */
export function candidates(host: string): string[] {
  const labels = host.split(".");
  return labels.slice(1).map((_, at) => labels.slice(-2 - at).join("."));
}

const cookie = quiet((text?: string) => (text ? (document.cookie = text) : document.cookie)); // none where it may have none

/** Kept as long as a click counts; an empty value is deleted. */
const write = (name: string, value: string, domain: string) => {
  const where = (domain && ";domain=" + domain) + (location.protocol === "https:" ? ";secure" : "");
  cookie(`${name}=${value};path=/;max-age=${value ? DAYS * 86400 : -1};samesite=lax` + where);
};

export const look = (name: string): string | undefined => (new RegExp(`(^|; )${name}=([^;]*)`).exec(cookie() as string) || [])[2];

const isOurs = (domain: string) => {
  write(PROBE, "1", domain);
  const taken = look(PROBE);
  write(PROBE, "", domain);
  return taken;
};

let known: string | undefined;
/** The domain that cookies share, empty for a host by itself. */
export const site = (): string => (known = known == null ? candidates(location.hostname).find(isOurs) || "" : known);

export const bake = (name: string, value: string): void => write(name, value, site());

export const drop = (name: string): void => ["", ...candidates(location.hostname)].forEach((domain) => write(name, "", domain));
