// A document of the server, saved as a file.
import { useState } from 'preact/hooks';
import { request } from '../api/client';

/** Documents may need the token, so they are fetched and then opened. */
export function Document({ href, children, name }: { href: string; children: string; name: string }) {
  const [failed, setFailed] = useState('');
  return (
    <>
      <a href={href} onClick={(e) => {
        e.preventDefault();
        setFailed('');
        request(href).then((r) => r.blob()).then((b) => {
          const link = document.createElement('a');
          link.href = URL.createObjectURL(b);
          link.download = name;
          link.click();
          setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
        }, (error: Error) => setFailed(error.message));
      }}>{children}</a>
      {failed && <span class="state is-bad">{failed}</span>}
    </>
  );
}
