/**
 * Where each gateway's checkout takes a word that its webhook gives back, by the host of the link.
 *
 * Our id goes into the first free slot of the order in which our adapters trust them. What the page has written stays:
 * a taken slot is skipped, and UTMs are added only to a link that has none, because half of one campaign and half of
 * another would be nobody's.
 */

import { params, withoutParams, withParam } from "./query";
import type { Utm } from "./visit";

export interface Rule {
  where: RegExp; // hosts
  slots: readonly string[];
  count?: number; // of free slots to write; one where nothing is said
}

const rule = (names: string, slots: string, count?: number): Rule => ({
  where: new RegExp(`(^|[.])(${names.replace(/\./g, "[.]")})$`),
  slots: slots.split(" "),
  count,
});

/** What a rule says besides its hosts. */
export type Carrier = Pick<Rule, "slots" | "count">;

export const RULES: Readonly<Record<string, Rule>> = {
  hotmart: rule("(pay|go).hotmart.com", "xcod sck src", 2),
  kiwify: rule("pay.kiwify.com(.br)?|kiwify.app", "sck s1 s2 s3 src"),
  perfectpay: rule("(checkout|go|pay).perfectpay.com.br", "src sck"),
  stripe: rule("buy.stripe.com", "client_reference_id"),
  braip: rule("(ev|pay).braip.com(.br)?", "src sck"),
  appmax: rule("(pay|checkout).appmax.com.br|carrinho.app", "click_id sck src"),
  lastlink: rule("lastlink.com", "utm_id"),
  other: rule(
    "pay.(kirvano.com|cakto.com.br|hub.la)|ticto.(app|com.br)|(chk|sun).eduzz.com|app.monetizze.com.br|mycartpanda.com",
    "src sck",
  ),
};

/** What a link is to carry. */
export interface Cargo {
  id: string; // click id, else session id; empty where the visitor has said no
  ours: ReadonlySet<string>; // every id of ours that a link may still carry
  fbclid: string | undefined;
  utm: Utm;
}

/** The rule of a host, or of the gateway that the page names for a checkout on a domain of its own. */
export function ruleOf(host: string, named = ""): Rule | undefined {
  return RULES[named] || Object.values(RULES).find(({ where }) => where.test(host));
}

/** The link with what it is to carry; the same text again when nothing is to be changed. */
export function loaded(url: string, { slots, count = 1 }: Carrier, cargo: Cargo): string {
  const present = params(url);
  const isOurs = (name: string) => cargo.ours.has(present.get(name) as string);
  // Ids of ours from before go: the visitor's id has changed, or may not be given any more.
  let link = withoutParams(url, (name) => isOurs(name) && present.get(name) !== cargo.id);
  const add = (name: string, value: string | undefined) => {
    if (value) link = withParam(link, name, value);
  };
  slots
    .filter((name) => !present.get(name) || isOurs(name))
    .slice(0, count)
    .forEach((name) => add(name, cargo.id));
  if (!/[?&]utm_/.test(url)) for (const name in cargo.utm) add("utm_" + name, cargo.utm[name]);
  if (!present.get("fbclid")) add("fbclid", cargo.fbclid);
  return link;
}
