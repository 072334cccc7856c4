/**
 * Edits of a URL's query as text: whatever the page wrote keeps its bytes, its order and its encoding. URL and
 * URLSearchParams would write the whole query anew, and a checkout may compare it.
 */

/** The query's parameters to look at; of several of a name, `get` gives the first. */
export function params(url: string): URLSearchParams {
  return new URLSearchParams(/\?([^#]*)/.exec(url)?.[1]);
}

/** A link of the page as the browser would follow it. */
export function absolute(link: string | URL | null): string {
  return new URL(link || "", document.baseURI).href;
}

function edit(url: string, change: (pairs: string[]) => string[]): string {
  const [, base, , query = "", hash] = /^([^?#]*)(\?([^#]*))?(.*)$/s.exec(url) as RegExpExecArray;
  const changed = change(query ? query.split("&") : []).join("&");
  return changed === query ? url : base + (changed && "?" + changed) + hash;
}

function nameOf(pair: string): string | undefined {
  return [...new URLSearchParams(pair).keys()][0];
}

/** The URL with this parameter: in the place of one of that name, else at the end. */
export function withParam(url: string, name: string, value: string): string {
  return edit(url, (pairs) => {
    const at = pairs.findIndex((pair) => nameOf(pair) === name);
    pairs[at < 0 ? pairs.length : at] = name + "=" + encodeURIComponent(value);
    return pairs;
  });
}

/** The URL without the parameters that `unwanted` names. */
export function withoutParams(url: string, unwanted: (name: string) => boolean): string {
  return edit(url, (pairs) => pairs.filter((pair) => !unwanted(nameOf(pair) as string)));
}
