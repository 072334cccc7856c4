/**
 * URLs read and edited as text. An edit leaves whatever the page wrote with its bytes, its order and its encoding: URL
 * and URLSearchParams would write the whole query anew, and a checkout may compare it.
 */

/** The query's parameters; of several of a name, `get` gives the first. */
export const params = (url: string): URLSearchParams => new URL(url).searchParams;

/** What stands for nothing: words that programs write for it, and macros that nobody replaced. */
const NOTHING = /^(undefined|null|none|nan|)$|{{/i;

/**
 * Values of a parameter in a link that people may have broken on its way: `&amp;`, a second `?`, a whole query encoded,
 * words behind `#`, blanks around. What is nothing is none. The rules are those of the edge (`tests/fixtures/links.json`).
 */
export function valuesOf(url: string, name: string): string[] {
  const found: string[] = [];
  const find = (text: string) =>
    text.replace(new RegExp(`([?&#;]|%26|%3b)(%20|[ +])*${name}(%20|[ +])*(=|%3d)([^&#?]*)`, "gi"), (...parts) => {
      const known = (new URLSearchParams("v=" + parts[5].split(/%26(?=utm_|fbclid)/i)[0]).get("v") as string).trim();
      if (!NOTHING.test(known)) found.push(known);
      return "";
    });
  find(url.split("#")[0] as string);
  if (!found[0]) find(url);
  return found;
}

/** A link of the page as the browser would follow it. */
export const absolute = (link: string | URL | null): string => new URL(link || "", document.baseURI).href;

/** The URL without the parameters that `unwanted` names. */
export const withoutParams = (url: string, unwanted: (name: string) => unknown): string =>
  url.replace(/\?[^#]*/, (query) => query.replace(/[?&]([^=&]*)[^&]*/g, (pair, name) => (unwanted(name) ? "" : pair)).replace(/^&/, "?"));

/** The URL with this parameter at its end, and an empty one of that name gone. No UTF-8 has halves of characters. */
export const withParam = (url: string, name: string, value: string): string => {
  const rest = withoutParams(url, (other) => other === name);
  const pair = name + "=" + encodeURIComponent(value.replace(/[\ud800-\udfff]/gu, ""));
  return rest.replace(/(?=#|$)/, (rest.split("#")[0]!.includes("?") ? "&" : "?") + pair);
};
