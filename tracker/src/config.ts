/**
 * What the edge says of the funnel (it writes this object into the script), and what the page's own
 * script element adds. The page wins, because its author sees what the funnel's manifest can't know.
 */

import { params } from "./query";
import { quiet } from "./quiet";

/** The edge writes the funnel's configuration here, in the order of `runtime/sinal_hub/ingest/tracking/script.py`. */
declare const SINAL_CONFIG: [
  key: string, // the funnel's public key
  tenant: string, // slug
  batch: string, // the batch endpoint: an address, one without a scheme (`//host/path`), or a path
  consent: unknown, // what no answer means: true is granted
  early: unknown, // cookies before consent
  hosts: string[], // landing hosts, "*.example.com" allowed
];
export const [key, tenant, batch, byDefault, early, hosts] = SINAL_CONFIG;

export interface Options {
  batchUrl: string;
  second: string; // address of the script's second part
  pairing: boolean; // with the page's own fbq
  automatic: boolean; // page views without being asked
  ignored: string; // parameters that do not make another page, by commas
}

/** Options of this page: `data-collect`, `data-pixel` … of the script element, or the same words in its address. */
export const options = quiet((): Options => {
  // A classic script is current while it runs; one that was bundled as a module has to be searched for.
  const element = (document.currentScript || document.querySelector(`script[src*=${key}]`)) as HTMLScriptElement | null;
  const address = (element && element.src) || document.baseURI;
  const at = (place: string) => new URL(place, address).href;
  const said = params(address); // tag managers strip attributes
  if (element) Object.entries(element.dataset).forEach(([name, value]) => said.set(name, value as string));
  return {
    batchUrl: at(said.get("collect") || batch),
    second: at(batch + "/s.js?part=2&f=" + key),
    pairing: said.has("pixel"),
    automatic: said.get("auto") !== "false",
    ignored: said.get("ignore") || "",
  };
})() as Options;

/** Whether a host is one of the landing hosts, as the edge judges it: `*.x` is every name below x, not x itself. */
export const isLanding = (host: string): boolean =>
  hosts.some((pattern) => (pattern[0] === "*" ? host.endsWith(pattern.slice(1)) : host === pattern));
