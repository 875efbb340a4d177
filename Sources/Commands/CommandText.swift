/// The command table as text: what each command is called, takes, touches and means. COMMAND and
/// its subcommands are generated from it, and the dispatcher checks arity and flags by it.
///
/// It is text, parsed once at start-up in about a millisecond (5 in a debug build), because nested
/// Swift literals of this size are slow to type-check. One block a command:
///
/// ```
/// getex -2 write,fast 1 1 1 write,string,fast        name arity flags first last step categories
///   keys RW,access,update any notes                  how the keys are used; present iff first > 0
///   tips nondeterministic_output                     optional: hints to clients
///   docs string 6.2.0 O(1)                           group, since, complexity
///   help Read a string and change or drop its deadline
///   deprecated 6.2.0 `SET` with …                    optional: since when, and what to use instead
///   - key key key=0                                  arguments: name, type, then any attributes
///   - expiration oneof optional
///     - seconds integer token=EX since=2.6.12        the parts of a oneof or block, deeper by two
/// ```
///
/// - Arity counts the command's own name, and is negative when it is only a minimum.
/// - first, last and step say which arguments are keys; last counts from the end when negative.
/// - `-` stands for an empty list.
/// - `client|list` is a subcommand; its block follows that of its container, `client`.
/// - An argument's attributes are `key=` (index of the key spec), `token=`, `since=`,
///   `deprecated=`, `optional`, `multiple` and `multiple_token`, in this order.
///
/// Words, versions and order are those of redis-server 7.0.15, whose replies ours equal; the
/// summaries are ours, and so are the commands that begin with V, whose since is Coterie's version.
enum CommandText {
  /// All texts, in the order in which COMMAND lists them.
  static let all = [strings, keys, connection, server, cluster]
}
