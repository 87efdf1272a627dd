//! Stage 3: releases roll out progressively, are judged, promoted or rolled back.
