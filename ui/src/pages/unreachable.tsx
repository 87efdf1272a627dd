// Stands in for a page whose code could not be fetched: the server is away, or another version of it came.
import { useEffect } from 'preact/hooks';
import { Problem } from '../api/client';
import { Failure, Head } from '../parts/basic';

const TRY_MS = 2_000;
const WAY_OUT = new Problem(0, 'this page could not be fetched', 'The server does not answer.', '', 'Check that `lem up` is running; the page comes by itself as soon as it answers.');

export default function Unreachable() {
  useEffect(() => {
    const again = setInterval(() => { fetch('/healthz').then((r) => { if (r.ok) location.reload(); }, () => undefined); }, TRY_MS);
    return () => clearInterval(again);
  }, []);
  return <><Head title="Not reachable" /><Failure error={WAY_OUT} retry={() => location.reload()} /></>;
}
