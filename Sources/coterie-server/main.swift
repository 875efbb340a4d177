import Glibc
import Server

exit(Program.run(Array(CommandLine.arguments.dropFirst())))
