"""Who may talk to whom: certificates of a private authority, shared secrets, and the TLS contexts made of them.

Each side proves itself twice. TLS 1.3 with certificates that one private authority signed shows that both were given
credentials of the same run; a shared secret for each role (`tokens`) shows that the peer may do what that role does.
`authority` makes both, `credentials` loads what one side holds, `tls_errors` says what is wrong when two do not fit.
"""
