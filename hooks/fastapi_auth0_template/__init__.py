"""The template's tool: make a project, set up its tenant, find out why tokens fail.

Read from the top; each module imports only from those below it:

    __main__            early signals
    app                 the command line, exit codes, where errors become messages
    commands/           new, setup, doctor, token
    doctor/             the checks: project, tenant, token; their order
    tenant/             connect; the auth0 process; what its output means; management; http
    apply, plan         carry out the plan; the plan itself, pure
    project, declared   the files of a project; auth0/tenant.yaml
    env_file            the text of .env, pure
    console             what people see and are asked
    values, text        valid Domains and Audiences; hiding secrets
    model, problems     the data and the failures that all share
"""
