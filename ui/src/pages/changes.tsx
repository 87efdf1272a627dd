// Every commit the loop has seen, newest first.
import { person } from '../lib/format';
import { useQuery } from '../api/client';
import type { ChangeRow } from '../api/types';
import { A, ChangeWord, Empty, Head, Loading, Sha, Table, When } from '../parts/basic';

export default function Changes() {
  const changes = useQuery<ChangeRow[]>('/api/v1/changes?limit=100', { on: ['*'] });
  return (
    <>
      <Head title="Changes" over="Every commit, and how far round the loop it has come" />
      <Loading query={changes} what="changes">
        {(rows) => rows.length === 0
          ? <Empty command="git commit">Each new commit on the watched branch will stand here with its place in the loop.</Empty>
          : (
            <Table label="Changes" head={<><th>State</th><th>Commit</th><th>Change</th><th>Where it stands</th><th>Author</th><th class="right">Last moved</th></>}>
              {rows.map((c) => (
                <tr key={c.sha}>
                  <td class="nowrap"><ChangeWord state={c.state} /> <span class="muted">in {c.station}</span></td>
                  <td><Sha sha={c.sha} /></td>
                  <td><A href={`/changes/${c.sha}`}>{c.subject}</A></td>
                  <td class="muted">{c.sentence}</td>
                  <td class="nowrap" title={c.author}>{person(c.author)}</td>
                  <td class="right"><When at={c.at} /></td>
                </tr>
              ))}
            </Table>
          )}
      </Loading>
    </>
  );
}
