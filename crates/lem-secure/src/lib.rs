//! Stage 5, secure: may this pass, who may do it, with which secret, and can it be proved afterwards.
