"""What decides access, used by all three services; it imports the kernel and no service.

model            the entities of the policy's revision log
matching         action patterns
scopes           the tree that access is granted on
actions          what may be asked about
builtin_roles    what every installation has
index            one immutable root per revision, made of tree, directory, sharing and holders
evaluation       the decision algorithm over a root; accessible: the same question for lists
replica          the root that this process holds, and how old it is
access_control   finds a policy that is fresh enough for a call; access: decides by it
runtime          all of it together with authz over gRPC: client, feed, convert, reporter
"""
