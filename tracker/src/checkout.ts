/**
 * Where each gateway's checkout takes a word that its webhook gives back, by the host of the link.
 *
 * Our id goes into the first free slot of the order in which our adapters trust them. What the page has written stays:
 * a taken slot is skipped, and UTMs are added only to a link that has none, because half of one campaign and half of
 * another would be nobody's.
 */

import { params, withParam } from "./query";
import { UTMS, type Utm } from "./visit";

/** Hosts, with the gateway's name in them, and slots in order. */
export const TABLE = `(pay|go).hotmart.com xcod sck src
pay.kiwify.com(.br)?|kiwify.app sck s1 s2 s3 src
(checkout|go|pay).perfectpay.com.br src sck
buy.stripe.com client_reference_id
(ev|pay).braip.com(.br)? src sck
(pay|checkout).appmax.com.br|carrinho.app click_id sck src
lastlink.com utm_id
pay.(kirvano.com|cakto.com.br|hub.la)|ticto.(app|com.br)|(chk|sun).eduzz.com|app.monetizze.com.br|mycartpanda.com src sck`
  .split("\n")
  .map((row) => row.split(" ") as [hosts: string, ...slots: string[]]);

/** What a link is to carry. */
export interface Cargo {
  id: string; // click id, else session id
  fbclid: string | undefined;
  utm: Utm;
}

/** Slots of a host, or of the gateway that the page names for a checkout on a domain of its own. */
export const slotsOf = (host: string, named?: string | null): string[] | undefined => {
  const row =
    TABLE.find(([hosts]) => named && hosts.includes(named)) ||
    TABLE.find(([hosts]) => new RegExp(`(^|[.])(${hosts.replace(/\./g, "[.]")})$`).test(host));
  return row && row.slice(1);
};

/** The link with what it is to carry. */
export function loaded(url: string, slots: string[], { id, fbclid, utm }: Cargo): string {
  const present = params(url);
  const hasUtm = /[?&]utm_\w+=[^&#]/.test(url);
  const add = (name: string, value: string | undefined) => {
    if (value && !present.get(name)) url = withParam(url, name, value);
  };
  // Hotmart is the one that gives back several, and may lose one.
  slots.filter((name) => !present.get(name)).slice(0, slots[0] === "xcod" ? 2 : 1).forEach((name) => add(name, id));
  if (!hasUtm) UTMS.forEach((name) => add("utm_" + name, utm[name]));
  add("fbclid", fbclid);
  return url;
}
