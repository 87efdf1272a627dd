// The Markdown our own documents use: headings, lists, tables, code, emphasis, links. Everything else stays text.
import type { ComponentChildren } from 'preact';
import { A } from './basic';

const INLINE = /(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/;

function inline(text: string): ComponentChildren[] {
  return text.split(INLINE).map((part, i) => {
    if (part.startsWith('`') && part.endsWith('`') && part.length > 2) return <code key={i}>{part.slice(1, -1)}</code>;
    if (part.startsWith('**') && part.length > 4) return <strong key={i}>{part.slice(2, -2)}</strong>;
    const link = /^\[([^\]]+)\]\(([^)\s]+)\)$/.exec(part);
    // Only addresses of this product and the web: a document cannot smuggle in a script.
    if (link?.[1] && link[2]) return /^(https?:|\/)/.test(link[2]) ? <A key={i} href={link[2]}>{link[1]}</A> : link[1];
    return part;
  });
}

const cells = (line: string) => line.replace(/^\||\|$/g, '').split('|').map((c) => c.trim());

export function Markdown({ text }: { text: string }) {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const out: ComponentChildren[] = [];
  let at = 0;
  const take = (test: (l: string) => boolean) => { const from = at; while (at < lines.length && test(lines[at] ?? '')) at += 1; return lines.slice(from, at); };
  while (at < lines.length) {
    const line = lines[at] ?? '';
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (!line.trim()) at += 1;
    else if (heading) { out.push(<h3 key={at}>{inline(heading[2] ?? '')}</h3>); at += 1; }
    else if (line.startsWith('```')) {
      at += 1;
      const body = take((l) => !l.startsWith('```'));
      at += 1;
      out.push(<pre key={at} class="json">{body.join('\n')}</pre>);
    } else if (/^\s*[-*]\s/.test(line)) out.push(<ul key={at}>{take((l) => /^\s*[-*]\s/.test(l)).map((l, i) => <li key={i}>{inline(l.replace(/^\s*[-*]\s/, ''))}</li>)}</ul>);
    else if (/^\s*\d+\.\s/.test(line)) out.push(<ol key={at} class="numbered">{take((l) => /^\s*\d+\.\s/.test(l)).map((l, i) => <li key={i}>{inline(l.replace(/^\s*\d+\.\s/, ''))}</li>)}</ol>);
    else if (line.startsWith('|')) {
      const [head = '', , ...rows] = take((l) => l.startsWith('|'));
      out.push(<div key={at} class="table-box" tabIndex={0} role="group" aria-label="Table"><table><thead><tr>{cells(head).map((c, i) => <th key={i}>{inline(c)}</th>)}</tr></thead><tbody>{rows.map((r, i) => <tr key={i}>{cells(r).map((c, j) => <td key={j}>{inline(c)}</td>)}</tr>)}</tbody></table></div>);
    } else out.push(<p key={at}>{inline(take((l) => l.trim() !== '' && !/^(#{1,6}\s|```|\||\s*[-*]\s|\s*\d+\.\s)/.test(l) || l === line).join(' '))}</p>);
  }
  return <div class="notes">{out}</div>;
}
