// The report of one team: its tables and files. Each row leads to the ledger event that proves it.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { ReportSection, TeamReport } from '../api/stages';
import { shorten } from '../lib/format';
import { absolute } from '../lib/time';
import { Document } from '../parts/document';
import { A, Empty, EventRef, Head, Section, Sha, Table, Tabs, When } from '../parts/basic';
import { REPORT_TABS } from '../parts/reports';
import { Stage } from '../parts/stage';

const FORMS: Record<string, string> = { md: 'Markdown', html: 'HTML', csv: 'CSV', json: 'JSON' };
/** An amount, a count, a share or a time with its unit. */
const NUMBER = /^[-+±−]?\s?[$€£]?\d[\d.,]*(\s?(%|[a-zµ/]{1,8}))?$/i;

/** Columns in which every filled cell is a number stand to the right. */
function numeric(s: ReportSection): boolean[] {
  return s.columns.map((_, i) => {
    const filled = s.rows.map((r) => r.cells[i] ?? '').filter(Boolean);
    return filled.length > 0 && filled.every((c) => NUMBER.test(c) || c === 'unknown') && filled.some((c) => NUMBER.test(c));
  });
}

/** Up to so many letters a cell is not broken. */
const SHORT = 34;
const ISO = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)$/;

const isShort = (text: string) => ISO.test(text) || shorten(text).length <= SHORT && !text.includes(' ') || text.length <= SHORT / 2;

/** Times as everywhere, commits and incidents as links, digests as long as people compare them. */
function Cell({ text, column }: { text: string; column: string }) {
  if (ISO.test(text)) { const at = text.replace(' UTC', 'Z').replace(' ', 'T'); return <time dateTime={at} title={absolute(at)}>{absolute(at)}</time>; }
  if (/^INC-[0-9A-F]+$/.test(text)) return <A href={`/incidents/${text}`}>{text}</A>;
  if (column === 'Commit' && /^[0-9a-f]{8,40}$/.test(text)) return <Sha sha={text} />;
  if (text === '(none)') return <span class="muted">not assigned</span>;
  const shown = shorten(text);
  return shown === text ? <>{text}</> : <span title={text}>{shown}</span>;
}

function One({ section: s }: { section: ReportSection }) {
  const right = numeric(s);
  return (
    <Section title={s.title}>
      {s.rows.length === 0 ? <div class="empty"><p>Nothing to report.</p>{s.note && <p class="muted">{s.note}</p>}</div> : (
        <>
          <Table label={s.title} head={<>{s.columns.map((c, i) => <th key={c} class={right[i] ? 'right' : ''}>{c}</th>)}<th class="right">Evidence</th></>}>
            {s.rows.map((r, n) => (
              <tr key={n}>{s.columns.map((_, i) => <td key={i} class={right[i] ? 'right' : isShort(r.cells[i] ?? '') ? 'nowrap' : 'long'}><Cell text={r.cells[i] ?? ''} column={s.columns[i] ?? ''} /></td>)}<td class="right">{r.event === null || r.event === undefined ? <span class="muted">none</span> : <EventRef seq={r.event} />}</td></tr>
            ))}
          </Table>
          {s.note && <p class="muted pad">{s.note}</p>}
        </>
      )}
    </Section>
  );
}

export default function Report() {
  const { params } = useRoute();
  const team = params.team ?? '';
  const title = REPORT_TABS.find((t) => t.id === team)?.title ?? team;
  const path = `/api/v1/reports/${encodeURIComponent(team)}`;
  const report = useQuery<TeamReport>(path, { on: ['*'] });
  return (
    <>
      <Head title={report.data?.title ?? `${title} report`} over={report.data ? <>for {title}, made <When at={report.data.generatedAt} /></> : `for ${title}`}>
        {report.data && <span class="row">{report.data.files.map((f) => <Document key={f.href} href={f.href} name={f.name}>{FORMS[f.name.split('.').at(-1) ?? ''] ?? f.name}</Document>)}</span>}
      </Head>
      <Tabs tabs={REPORT_TABS} at={team} label="Reports" />
      <Stage query={report} what={`report for ${title}`} command={`lem report ${team}`} will={`The report for ${title} will stand here, with a link from every row to the event behind it.`}>
        {(r) => (r.sections.length === 0 ? <Empty>There is nothing to report yet.</Empty> : <>{r.sections.map((s) => <One key={s.title} section={s} />)}</>)}
      </Stage>
    </>
  );
}
